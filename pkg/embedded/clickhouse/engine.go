//go:build linux || darwin

package clickhouse

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego" // calls a shared library without cgo, so that a C compiler is not needed
)

// runEngine loads the library and gives it clickhouse-local's arguments. It returns when the last query has read all of
// standard input, which is when the parent closes it or ends.
func runEngine(library string, args []string) error {
	handle, err := purego.Dlopen(library, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return fmt.Errorf("load %s: %w", library, err)
	}
	const entry, failure = "chdb_query_cmdline", "chdb_result_error"
	for _, name := range []string{entry, failure} {
		if _, err := purego.Dlsym(handle, name); err != nil {
			return fmt.Errorf("%s is not a libchdb that Outcry knows: %w", library, err)
		}
	}
	var query func(argc int32, argv unsafe.Pointer) unsafe.Pointer
	var message func(result unsafe.Pointer) string
	purego.RegisterLibFunc(&query, handle, entry)
	purego.RegisterLibFunc(&message, handle, failure)

	// C keeps argv for as long as it runs, and Go must not move or free what it points at.
	var pin runtime.Pinner
	defer pin.Unpin()
	argv := make([]*byte, len(args)+2) // the last one stays nil
	for i, arg := range append([]string{"clickhouse"}, args...) {
		text := append([]byte(arg), 0)
		pin.Pin(&text[0])
		argv[i] = &text[0]
	}
	pin.Pin(&argv[0])
	result := query(int32(len(argv)-1), unsafe.Pointer(&argv[0]))
	if result == nil {
		return errors.New("ClickHouse ended without a result")
	}
	if text := message(result); text != "" {
		return errors.New(text)
	}
	return nil
}
