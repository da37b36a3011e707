package clickhouse

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"text/template"
)

// layout is where things are in the data folder.
type layout struct{ dir string }

func (l layout) data() string     { return filepath.Join(l.dir, "data") }
func (l layout) status() string   { return filepath.Join(l.data(), "status") } // the engine locks it
func (l layout) log() string      { return filepath.Join(l.dir, "clickhouse.log") }
func (l layout) settings() string { return filepath.Join(l.dir, "clickhouse.xml") }
func (l layout) users() string    { return filepath.Join(l.dir, "users.xml") }

// settingsFile is ClickHouse's own configuration. What differs from its defaults is there to keep a server that shares a laptop
// small: its caches come to 20 GB by default, its pools to thousands of threads.
var settingsFile = template.Must(template.New("clickhouse.xml").Funcs(template.FuncMap{"text": escape}).Parse(`<clickhouse>
    <!-- Written at every start of Outcry's embedded ClickHouse. -->
    <!-- With it clickhouse-local refuses to become interactive: it ends when its queries have. -->
    <query_id>outcry</query_id>
    <listen_host>127.0.0.1</listen_host>
    <tcp_port>{{.NativePort}}</tcp_port>
    <http_port>{{.HTTPPort}}</http_port>
    <users_config>{{text .Users}}</users_config>
    <access_control_improvements>
        <select_from_system_db_requires_grant>true</select_from_system_db_requires_grant>
        <select_from_information_schema_requires_grant>true</select_from_information_schema_requires_grant>
        <settings_constraints_replace_previous>true</settings_constraints_replace_previous>
    </access_control_improvements>

    <log-level>warning</log-level>
    <logger>
        <log>{{text .Log}}</log>
        <size>10M</size>
        <count>1</count>
        <compress>0</compress>
        <levels>
            <!-- With few threads it warns thirty times a second that they have work. -->
            <logger><name>BackgroundSchedulePool/BgSchPool</name><level>error</level></logger>
        </levels>
    </logger>

    <max_server_memory_usage>{{.MaxMemoryBytes}}</max_server_memory_usage>
    <mark_cache_size>67108864</mark_cache_size>
    <primary_index_cache_size>67108864</primary_index_cache_size>
    <index_mark_cache_size>8388608</index_mark_cache_size>
    <mmap_cache_size>64</mmap_cache_size>
    <compiled_expression_cache_size>16777216</compiled_expression_cache_size>
    <max_concurrent_queries>100</max_concurrent_queries>
    <background_pool_size>{{.MergeThreads}}</background_pool_size>
    <background_schedule_pool_size>2</background_schedule_pool_size>
</clickhouse>
`))

// usersFile knows the user that clients are, with a password, and the one that clickhouse-local runs its own session as, which
// must be called default and cannot have a password: it is granted what that session's queries need and no more. So another
// user of the machine who finds the port can read and write nothing, though he can stop the listening or waste its time.
//
// The profile undoes what clickhouse-local sets apart from a server.
var usersFile = template.Must(template.New("users.xml").Funcs(template.FuncMap{"text": escape, "hash": passwordHash}).Parse(`<clickhouse>
    <!-- Written at every start of Outcry's embedded ClickHouse. -->
    <profiles>
        <default/>
        <outcry>
            <implicit_select>0</implicit_select>
            <allow_introspection_functions>0</allow_introspection_functions>
        </outcry>{{range .More}}
        <{{.Name}}>{{range $name, $value := .Settings}}
            <{{$name}}>{{text $value}}</{{$name}}>{{end}}
        </{{.Name}}>{{end}}
    </profiles>
    <quotas><default/></quotas>
    <users>
        <default>
            <password/>
            <networks><ip>127.0.0.1</ip></networks>
            <profile>default</profile>
            <quota>default</quota>
            <grants>
                <query>GRANT SYSTEM LISTEN ON *.*</query>
                <query>GRANT CREATE TEMPORARY TABLE, CREATE ARBITRARY TEMPORARY TABLE, TABLE ENGINE ON *.*</query>
            </grants>
        </default>
        <outcry>
            <password_sha256_hex>{{hash .Password}}</password_sha256_hex>
            <networks><ip>127.0.0.1</ip></networks>
            <profile>outcry</profile>
            <quota>default</quota>
            <access_management>1</access_management>
            <named_collection_control>1</named_collection_control>
        </outcry>{{range .More}}
        <{{.Name}}>
            <password_sha256_hex>{{hash .Password}}</password_sha256_hex>
            <networks><ip>127.0.0.1</ip></networks>
            <profile>{{.Name}}</profile>
            <quota>default</quota>
            <grants>{{range .Grants}}
                <query>GRANT {{text .}}</query>{{end}}
            </grants>
        </{{.Name}}>{{end}}
    </users>
</clickhouse>
`))

// userName is who clients are.
const userName = "outcry"

// writeSettings writes both files and makes the folders they name.
func writeSettings(l layout, nativePort, httpPort int, maxMemory int64, mergeThreads int, password string, more []User) error {
	if err := os.MkdirAll(l.data(), 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	values := map[string]any{
		"NativePort": nativePort, "HTTPPort": httpPort, "MaxMemoryBytes": maxMemory, "MergeThreads": mergeThreads,
		"Users": l.users(), "Log": l.log(), "Password": password, "More": more,
	}
	for path, file := range map[string]*template.Template{l.settings(): settingsFile, l.users(): usersFile} {
		var text bytes.Buffer
		if err := file.Execute(&text, values); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
		if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
			return fmt.Errorf("write ClickHouse's settings: %w", err)
		}
	}
	return nil
}

func passwordHash(password string) string {
	hash := sha256.Sum256([]byte(password))
	return hex.EncodeToString(hash[:])
}

func escape(s string) (string, error) {
	var b bytes.Buffer
	err := xml.EscapeText(&b, []byte(s))
	return b.String(), err
}

// arguments are clickhouse-local's. Its last query reads all of standard input, so the server lives as long as that is open.
//
// It is told to be interactive, which it is as well if standard input is a terminal, because otherwise it ends its process at the first
// client that breaks off or says something unexpected (https://github.com/ClickHouse/ClickHouse/issues/115666; later releases do not). What a
// person would have of it is turned off, and query_id in the settings has it end in place of prompting.
func arguments(l layout) []string {
	return []string{
		"--path=" + l.data(),
		"--config-file=" + l.settings(),
		"--interactive", "--history_file=/dev/null", "--progress=off", "--progress-table=off", "--disable_suggestion",
		"--structure", "line String", "--input-format", "LineAsString",
		"--query", "SYSTEM START LISTEN TCP; SYSTEM START LISTEN HTTP; SELECT count() FROM table",
	}
}

func loopback(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }
