package e2e

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// tree is the root of the repository, seen from this package.
const tree = ".."

// documents are what people read first.
func documents(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(tree, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob(filepath.Join(tree, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, path := range append(paths, more...) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		out[path] = string(b)
	}
	for _, name := range []string{"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/life-of-a-post.md", "docs/data.md", "docs/api.md", "docs/embeds.md"} {
		if out[filepath.Join(tree, name)] == "" {
			t.Errorf("%s is missing or empty", name)
		}
	}
	return out
}

var (
	linkPattern    = regexp.MustCompile(`\[([^\]]+)\]\(([^)\s]+)\)`)
	spanPattern    = regexp.MustCompile("`([^`\n]+)`")
	headingPattern = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// TestLinksOfTheDocumentsLeadSomewhere follows every link within the tree. Where its text is a name in code, as in
// [`Stage.take`](services/ingest/ingest.go), that file has to declare the name.
func TestLinksOfTheDocumentsLeadSomewhere(t *testing.T) {
	names := 0
	for path, text := range documents(t) {
		for _, m := range linkPattern.FindAllStringSubmatch(text, -1) {
			target, err := url.Parse(m[2])
			if err != nil {
				t.Errorf("%s: link %s: %v", path, m[0], err)
				continue
			}
			if target.IsAbs() {
				continue
			}
			file := path
			if target.Path != "" {
				file = filepath.Join(filepath.Dir(path), target.Path)
			}
			info, err := os.Stat(file)
			if err != nil {
				t.Errorf("%s: link %s leads nowhere", path, m[0])
				continue
			}
			if target.Fragment != "" && !slices.Contains(anchors(t, file), target.Fragment) {
				t.Errorf("%s: link %s: no such heading", path, m[0])
			}
			name, isCode := strings.CutPrefix(strings.TrimSuffix(m[1], "`"), "`")
			if !isCode || info.IsDir() {
				continue
			}
			names++
			if !declares(t, file, name) {
				t.Errorf("%s: %s declares no %s", path, file, name)
			}
		}
	}
	if names < 40 {
		t.Errorf("only %d names were checked: the pattern of links no longer fits the documents", names)
	}
}

// anchors are the headings of a document as fragments.
func anchors(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range headingPattern.FindAllStringSubmatch(string(b), -1) {
		out = append(out, strings.ReplaceAll(regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return out
}

// declares tells whether a file declares a name: in Go a function, Type.Method, type, constant or variable; elsewhere the word stands in it.
func declares(t *testing.T, path, name string) bool {
	t.Helper()
	if filepath.Ext(path) != ".go" {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return regexp.MustCompile(`\b` + regexp.QuoteMeta(name) + `\b`).Match(b)
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if receiver(d)+d.Name.Name == name {
				return true
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					if s.Name.Name == name {
						return true
					}
				case *ast.ValueSpec:
					if slices.ContainsFunc(s.Names, func(i *ast.Ident) bool { return i.Name == name }) {
						return true
					}
				}
			}
		}
	}
	return false
}

// receiver is the type of a method with a dot behind it, or empty.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	t := d.Recv.List[0].Type
	if pointer, ok := t.(*ast.StarExpr); ok {
		t = pointer.X
	}
	if i, ok := t.(*ast.Ident); ok {
		return i.Name + "."
	}
	return ""
}

// TestPathsInTheDocumentsExist looks for every `path/of/a/file` and every ./script.
func TestPathsInTheDocumentsExist(t *testing.T) {
	top, err := os.ReadDir(tree)
	if err != nil {
		t.Fatal(err)
	}
	var roots []string
	for _, e := range top {
		roots = append(roots, e.Name())
	}
	found := 0
	for path, text := range documents(t) {
		for _, m := range spanPattern.FindAllStringSubmatch(text, -1) {
			word := strings.TrimPrefix(strings.Fields(m[1] + " ")[0], "./")
			first, rest, isPath := strings.Cut(word, "/")
			if !isPath || strings.ContainsAny(word, "<>{}*…") || rest == "..." || strings.HasSuffix(rest, "/...") {
				continue
			}
			if !slices.Contains(roots, first) {
				continue // a URL's path, a Go expression, a folder of the reader's
			}
			found++
			if _, err := os.Stat(filepath.Join(tree, word)); err != nil {
				t.Errorf("%s: there is no %s", path, m[1])
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d paths were checked: the pattern no longer fits the documents", found)
	}
}

var commandPattern = regexp.MustCompile(`\boutcry ([a-z]+)\b([^|\n` + "`" + `]*)`)

// TestCommandsInTheDocumentsExist holds every `outcry COMMAND --option` that a document shows against what the command says of itself.
func TestCommandsInTheDocumentsExist(t *testing.T) {
	explained := map[string]string{}
	explain := func(words ...string) string {
		key := strings.Join(words, " ")
		if _, known := explained[key]; !known {
			out, err := exec.Command(binary, append([]string{"help"}, words...)...).CombinedOutput()
			if err != nil {
				t.Errorf("outcry help %s: %v\n%s", key, err, out)
			}
			explained[key] = string(out)
		}
		return explained[key]
	}
	var commands []string
	for _, m := range regexp.MustCompile(`(?m)^  ([a-z]+) +\S`).FindAllStringSubmatch(explain(), -1) {
		commands = append(commands, m[1])
	}
	shown := 0
	for path, text := range documents(t) {
		var codes []string
		for _, m := range spanPattern.FindAllStringSubmatch(text, -1) {
			codes = append(codes, m[1])
		}
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "    ") && !strings.Contains(line, "──") { // code, but no picture
				codes = append(codes, line)
			}
		}
		for _, code := range codes {
			for _, m := range commandPattern.FindAllStringSubmatch(code, -1) {
				shown++
				words, rest := m[1:2], strings.Fields(m[2])
				if !slices.Contains(commands, m[1]) {
					t.Errorf("%s: `%s`: there is no command %q", path, strings.TrimSpace(code), m[1])
					continue
				}
				if len(rest) > 0 && slices.Contains([]string{"catalog", "config"}, m[1]) { // their commands have commands
					words = append(words[:1:1], rest[0])
					explain(words...)
				}
				for _, word := range rest {
					if strings.HasPrefix(word, "--") && !slices.Contains(strings.Fields(explain(words...)), word) {
						t.Errorf("%s: `%s`: outcry %s has no option %s", path, strings.TrimSpace(code), strings.Join(words, " "), word)
					}
				}
			}
		}
	}
	if shown < 40 {
		t.Errorf("only %d commands were checked: the pattern no longer fits the documents", shown)
	}
}
