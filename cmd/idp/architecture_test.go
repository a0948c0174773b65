package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "ente.example/idp"

// The rings of docs/architecture.md. Within the rules there is an order too,
// which the table spells out.
var (
	ruleRooms   = []string{"contacts", "enrolment", "credentials", "clients", "authorizations", "delivery", "throttle", "audit", "citizens"}
	groundRooms = []string{"web", "templates", "database"}
)

// mayImport is the import table: each room with those below it that it may
// know. A room that is missing here has no place in the house yet.
var mayImport = map[string][]string{
	"cmd/idp": slices.Concat([]string{"cmd/idp/demo", "provider", "provider/keys", "selfservice", "consent", "login", "migrations", "secrets"}, ruleRooms, groundRooms),
	// the sample service stands outside: it speaks to the provider over HTTP
	"cmd/idp/demo": {},

	// the measuring instrument stands outside as well, and speaks HTTP alone
	"bench":        {"bench/driver", "bench/meter", "bench/render"},
	"bench/driver": {},
	"bench/floor":  {},
	"bench/meter":  {},
	"bench/render": {"bench/meter"},

	"provider":    slices.Concat([]string{"provider/keys", "consent", "login"}, ruleRooms, groundRooms),
	"consent":     slices.Concat([]string{"login"}, ruleRooms, groundRooms),
	"selfservice": slices.Concat([]string{"consent", "login"}, ruleRooms, groundRooms),
	"login":       slices.Concat(ruleRooms, groundRooms),

	// what the protocol signs with, and knows nothing of it
	"provider/keys": {"audit", "database"},

	"contacts":    {"credentials", "delivery", "audit", "citizens", "database"},
	"enrolment":   {"credentials", "delivery", "audit", "citizens", "database"},
	"credentials": {"delivery", "throttle", "audit", "citizens", "database"},
	"clients":     {"authorizations", "audit", "database"},
	"delivery":    {"templates", "audit", "citizens", "database"},
	"throttle":    {"database"},
	"audit":       {"citizens", "database"},
	"citizens":    {"database"},

	// what may be asked for, in the words of its page
	"authorizations": {"templates"},

	"web":        {"templates"},
	"migrations": {"database"},
	"templates":  {},
	"database":   {},
	"secrets":    {},
}

// confined are the libraries that only some rooms may know. Where a library
// may be known by any room's store*.go, the file is looked at.
var confined = []struct {
	library string
	rooms   []string
	stores  bool // also in store*.go of every room
	tests   bool // the tests keep to it as well
}{
	{library: "github.com/ory/fosite", rooms: []string{"provider"}, tests: true},
	{library: "github.com/labstack/echo", rooms: []string{"web", "provider", "consent", "login", "selfservice", "cmd/idp"}},
	{library: "github.com/go-jose/go-jose", rooms: []string{"clients", "provider", "provider/keys", "cmd/idp/demo"}},
	{library: "gorm.io", rooms: []string{"database"}, stores: true},
	{library: "html", rooms: []string{"templates", "cmd/idp/demo"}},
	// clients fetches keys from the services; no other rule knows the network
	{library: "net/http", rooms: []string{"web", "provider", "consent", "login", "selfservice", "clients", "delivery", "cmd/idp", "cmd/idp/demo", "bench", "bench/driver", "bench/floor"}},
}

// room is a package as `go list -json` describes it.
type room struct {
	ImportPath   string
	Dir          string
	GoFiles      []string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func (r room) name() string { return strings.TrimPrefix(r.ImportPath, module+"/") }

// support reports whether a package exists for tests alone: any of them may
// use it, and it may use any room.
func support(name string) bool {
	return slices.ContainsFunc(strings.Split(name, "/"), func(part string) bool { return strings.HasSuffix(part, "test") })
}

// inside reports whether an import path is a library or lies inside it.
func inside(path, library string) bool {
	return path == library || strings.HasPrefix(path, library+"/")
}

func rooms(t *testing.T) []room {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Dir,GoFiles,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []room
	for d := json.NewDecoder(out); ; {
		var r room
		err := d.Decode(&r)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("read go list: %v", err)
		}
		list = append(list, r)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("go list: %v", err)
	}
	return list
}

// badArrows are a room's imports that the table does not draw.
func badArrows(name string, imports []string) []string {
	if support(name) {
		return nil
	}
	allowed, known := mayImport[name]
	if !known {
		return []string{name + " is not in the import table: give it a row, and a decision record if it is a new top-level folder"}
	}
	var bad []string
	for _, path := range imports {
		other, ours := strings.CutPrefix(path, module+"/")
		switch {
		case !ours || slices.Contains(allowed, other):
		case support(other):
			bad = append(bad, fmt.Sprintf("%s → %s: that package is for tests alone", name, other))
		default:
			bad = append(bad, fmt.Sprintf("%s → %s points up or sideways; %s may know %v", name, other, name, allowed))
		}
	}
	return bad
}

func TestImportsPointDown(t *testing.T) {
	t.Parallel()
	for _, r := range rooms(t) {
		// the one program that exists to run tests
		if r.name() == "database/databasetest/testrun" {
			continue
		}
		for _, bad := range badArrows(r.name(), r.Imports) {
			t.Error(bad)
		}
	}
}

// The table itself has no way round: nothing below knows anything above.
func TestImportTableHasNoCycle(t *testing.T) {
	t.Parallel()
	var visit func(name string, path []string)
	visit = func(name string, path []string) {
		if slices.Contains(path, name) {
			t.Fatalf("the import table goes in a circle: %s", strings.Join(append(path, name), " → "))
		}
		for _, below := range mayImport[name] {
			visit(below, append(path, name))
		}
	}
	for name := range mayImport {
		visit(name, nil)
	}
}

func TestLibrariesStayInTheirRooms(t *testing.T) {
	t.Parallel()
	for _, r := range rooms(t) {
		for _, c := range confined {
			if slices.Contains(c.rooms, r.name()) {
				continue
			}
			imports := r.Imports
			if support(r.name()) {
				imports = nil
			}
			if c.tests {
				imports = slices.Concat(r.Imports, r.TestImports, r.XTestImports)
			}
			for _, path := range imports {
				if inside(path, c.library) && !(c.stores && onlyInStores(t, r, path)) {
					t.Errorf("%s → %s: that library is known only in %v", r.name(), path, c.rooms)
				}
			}
		}
	}
}

// onlyInStores reports whether no file of r but store*.go imports path.
func onlyInStores(t *testing.T, r room, path string) bool {
	t.Helper()
	for _, file := range r.GoFiles {
		if strings.HasPrefix(file, "store") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(r.Dir, file), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			if got, _ := strconv.Unquote(i.Path.Value); got == path {
				t.Errorf("%s/%s → %s: only store*.go may know it", r.name(), file, path)
				return false
			}
		}
	}
	return true
}

// The page that explains the house names every room, and no name in it is one
// of those that say nothing.
func TestArchitecturePageNamesEveryRoom(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	empty := []string{"model", "service", "repository", "utils", "common", "config", "middleware", "internal"}
	for _, r := range rooms(t) {
		top, _, _ := strings.Cut(r.name(), "/")
		if top == "cmd" {
			top = "cmd/idp"
		}
		if !strings.Contains(string(page), "`"+top+"/`") {
			t.Errorf("docs/architecture.md does not name `%s/`", top)
		}
		for part := range strings.SplitSeq(r.name(), "/") {
			if slices.Contains(empty, part) {
				t.Errorf("package %s: %q says nothing about what it is for", r.name(), part)
			}
		}
	}
}
