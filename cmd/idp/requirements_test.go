package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// requirement is one row of docs/requirements.md.
type requirement struct {
	name, promise, where, tests, state string
}

var (
	requirementRow  = regexp.MustCompile(`(?m)^\| (R\d+|§[\d.]+[^|]*?) \|(.*)\|$`)
	testGroup       = regexp.MustCompile("^((?:`Test[^`]+`(?:, )?)+) \\(([a-z/]+)\\)$")
	requiredTest    = regexp.MustCompile("`(Test[^`]+)`")
	stateWithReason = regexp.MustCompile(`^(partly|later): .{10,}`)
)

func requirements(t *testing.T) []requirement {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "requirements.md"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []requirement
	for _, m := range requirementRow.FindAllStringSubmatch(string(page), -1) {
		cells := strings.Split(m[2], "|")
		if len(cells) != 4 {
			t.Fatalf("%s has %d cells behind its name, want 4", m[1], len(cells))
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, requirement{m[1], cells[0], cells[1], cells[2], cells[3]})
	}
	return rows
}

// The page of the requirements speaks of each rule once, and says of each
// either what shows it or why nothing does.
func TestRequirementsAreWhole(t *testing.T) {
	t.Parallel()
	rows := map[string]int{}
	for _, r := range requirements(t) {
		rows[r.name]++
		if r.promise == "" || r.where == "" {
			t.Errorf("%s promises %q at %q", r.name, r.promise, r.where)
		}
		r.checkState(t)
	}
	want := []string{"§2.1", "§2.2", "§2.3", "§2.4", "§4.2", "§4.4", "§4.11", "§5.3", "§5.4", "§5.5", "§5.6", "§5.7", "§5.8", "§5.9"}
	for n := range 64 {
		want = append(want, fmt.Sprint("R", n+1))
	}
	for _, thing := range []string{"change of PIN", "contact", "four eyes", "callback", "conversion"} {
		want = append(want, "§2.5 "+thing)
	}
	for _, name := range want {
		if rows[name] != 1 {
			t.Errorf("%s has %d rows, want 1", name, rows[name])
		}
	}
	if len(rows) != len(want) {
		t.Errorf("%d things have rows, want %d", len(rows), len(want))
	}
}

// checkState wants a test for whatever is said to be there, and a reason for
// whatever is not.
func (r requirement) checkState(t *testing.T) {
	t.Helper()
	switch shown := requiredTest.MatchString(r.tests); {
	case r.state == "met":
		if !shown {
			t.Errorf("%s is met, and no test shows it", r.name)
		}
	case !stateWithReason.MatchString(r.state):
		t.Errorf("%s: state %q, want met, or partly or later and what is missing", r.name, r.state)
	case !shown && r.tests != "–":
		t.Errorf("%s: %q names no test", r.name, r.tests)
	case !shown && strings.HasPrefix(r.state, "partly"):
		t.Errorf("%s is met in part, and no test shows that part", r.name)
	}
}

// Every test that the page names is there.
func TestRequirementsNameTests(t *testing.T) {
	t.Parallel()
	nameTests(t, requirements(t))
}

// nameTests holds rows against the tests that there are. Parts of a test are
// found by their quoted names in the files of its package.
func nameTests(t *testing.T, rows []requirement) {
	t.Helper()
	packages := map[string]testNames{}
	for _, r := range rows {
		if r.tests == "–" {
			continue
		}
		for group := range strings.SplitSeq(r.tests, "; ") {
			m := testGroup.FindStringSubmatch(group)
			if m == nil {
				t.Errorf("%s: %q is not `TestX`, `TestY` (package)", r.name, group)
				continue
			}
			if _, read := packages[m[2]]; !read {
				packages[m[2]] = testsOf(t, m[2])
			}
			for _, name := range requiredTest.FindAllStringSubmatch(m[1], -1) {
				if missing := packages[m[2]].missing(name[1]); missing != "" {
					t.Errorf("%s: package %s has no %s", r.name, m[2], missing)
				}
			}
		}
	}
}

// testNames are the test functions of a package, and every text in its tests.
type testNames struct{ functions, texts map[string]bool }

// missing is the part of a test's name that is not there.
func (n testNames) missing(name string) string {
	parts := strings.Split(name, "/")
	if !n.functions[parts[0]] {
		return parts[0]
	}
	for _, part := range parts[1:] {
		if !n.texts[part] {
			return strconv.Quote(part)
		}
	}
	return ""
}

func testsOf(t *testing.T, room string) testNames {
	t.Helper()
	n := testNames{map[string]bool{}, map[string]bool{}}
	files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(room), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(node ast.Node) bool {
			switch x := node.(type) {
			case *ast.FuncDecl:
				n.functions[x.Name.Name] = x.Recv == nil
			case *ast.BasicLit:
				if s, err := strconv.Unquote(x.Value); err == nil && x.Kind == token.STRING {
					n.texts[s] = true
				}
			}
			return true
		})
	}
	return n
}
