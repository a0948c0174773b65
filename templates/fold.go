package templates

import (
	"fmt"
	"html/template"
	"io"
	"reflect"
	"slices"
	"strings"
	"text/template/parse"
)

// constant is the template that a page's constants are executed in, one at a
// time. At first it leads to the whole page without writing any of it.
const (
	constant   = "constant of this page"
	wholeUnrun = `{{if .}}{{template "layout" .}}{{end}}`
)

// folder makes of a page, as it is written, what is executed for each reader.
type folder struct {
	page      *template.Template
	kind      Page // one of those that it shows
	words     *words
	functions template.FuncMap

	once *parse.ListNode // of the template in which constants are executed
	kept *any            // what it has come to
	seen map[string]bool
}

// fold puts text in the place of what a page says each time anew and always the
// same: a node that names nothing of what it is given, since every function of
// templates answers by its arguments, the language and the installation alone.
// To call one by reflection, and to escape what it says, was three quarters of
// what a page cost.
//
// html/template has escaped the page by then: a node is executed with the
// escapers that it has been given for the place where it stands, so that the
// text is what would have been written there. What cannot be executed stays as it
// is, and fails when and if somebody comes to it.
func (f *folder) fold() error {
	f.inline()
	once, err := f.page.New(constant).Parse(wholeUnrun)
	if err != nil {
		return fmt.Errorf("prepare to fold: %w", err)
	}
	if err := f.page.ExecuteTemplate(io.Discard, constant, false); err != nil { // escapes what it leads to
		return fmt.Errorf("escape: %w", err)
	}
	kept := new(any)
	f.page.Funcs(swift()).Funcs(template.FuncMap{"keep": func(v any) string { *kept = v; return "" }})
	f.once, f.kept, f.seen = once.Tree.Root, kept, map[string]bool{}
	f.template("layout", scope{root: reflect.TypeFor[view](), dot: reflect.TypeFor[view]()})
	f.once.Nodes, *kept = nil, nil
	return nil
}

// scope is what is known where a node stands.
type scope struct {
	root, dot reflect.Type // of what $ and the dot are; nil: not known
	constant  bool         // the dot is always the same:
	value     any
}

// under is the scope in which the dot is something else.
func (in scope) under(dot reflect.Type) scope { return scope{root: in.root, dot: dot} }

func (in scope) underConstant(v any) scope {
	return scope{root: in.root, dot: reflect.TypeOf(v), constant: true, value: v}
}

// template folds one of the page's, and those that it leads to. html/template
// keeps to itself what it has made of templates that stand in an attribute or
// the title: they stay as they are.
func (f *folder) template(name string, in scope) {
	t := f.tree(name)
	if t == nil || f.seen[name] {
		return
	}
	f.seen[name] = true
	f.list(t.Root, in)
}

func (f *folder) list(l *parse.ListNode, in scope) {
	if l != nil {
		l.Nodes = f.nodes(l.Nodes, in)
	}
}

// nodes folds nodes, and joins the text that comes of it.
func (f *folder) nodes(nodes []parse.Node, in scope) []parse.Node {
	var folded []parse.Node
	for _, n := range nodes {
		for _, n := range f.node(n, in) {
			text, ok := n.(*parse.TextNode)
			if ok && len(folded) > 0 {
				if before, ok := folded[len(folded)-1].(*parse.TextNode); ok {
					before.Text = append(before.Text, text.Text...)
					continue
				}
			}
			folded = append(folded, n)
		}
	}
	return folded
}

// node is what comes of one node: itself, its text, or nodes in its place.
func (f *folder) node(n parse.Node, in scope) []parse.Node {
	if n.Type() != parse.NodeText && fixed(n, in.constant) {
		if text, ok := f.execute(n, in); ok {
			return []parse.Node{textNode(text)}
		}
	}
	switch n := n.(type) {
	case *parse.ActionNode:
		return f.action(n, in)
	case *parse.IfNode:
		return f.ifNode(n, in)
	case *parse.WithNode:
		return f.withNode(n, in)
	case *parse.RangeNode:
		return f.rangeNode(n, in)
	case *parse.TemplateNode:
		f.template(n.Name, scope{})
	}
	return []parse.Node{n}
}

// ifNode is a branch that is always taken, or the question with both.
func (f *folder) ifNode(n *parse.IfNode, in scope) []parse.Node {
	if v, ok := f.value(n.Pipe, in); ok {
		if taken, ok := f.taken(v, n.List, n.ElseList, in); ok {
			return taken
		}
	}
	f.list(n.List, in)
	f.list(n.ElseList, in)
	return []parse.Node{n}
}

// taken are the nodes of the list that a value leads to. A variable that is
// declared in it ends with it: then it must stay a list.
func (f *folder) taken(v any, list, otherwise *parse.ListNode, in scope) ([]parse.Node, bool) {
	if truth, _ := template.IsTrue(v); !truth {
		list = otherwise
	}
	if list == nil {
		return nil, true
	}
	if slices.ContainsFunc(list.Nodes, declares) {
		return nil, false
	}
	return f.nodes(list.Nodes, in), true
}

func (f *folder) withNode(n *parse.WithNode, in scope) []parse.Node {
	if v, ok := f.value(n.Pipe, in); ok {
		if truth, _ := template.IsTrue(v); truth {
			if inside, ok := f.inside(n.List, in.underConstant(v)); ok {
				return inside
			}
		} else if taken, ok := f.taken(v, nil, n.ElseList, in); ok {
			return taken
		}
	}
	f.list(n.List, in.under(f.kindOf(n.Pipe, in)))
	f.list(n.ElseList, in)
	return []parse.Node{n}
}

// inside are the nodes of a list whose dot is always the same, if nothing is
// left in them that needs it.
func (f *folder) inside(l *parse.ListNode, in scope) ([]parse.Node, bool) {
	folded := f.nodes(l.CopyList().Nodes, in)
	if slices.ContainsFunc(folded, mentionsDot) || slices.ContainsFunc(folded, declares) {
		return nil, false
	}
	return folded, true
}

func (f *folder) rangeNode(n *parse.RangeNode, in scope) []parse.Node {
	if turns, ok := f.turns(n, in); ok {
		return turns
	}
	var element reflect.Type
	if t := f.kindOf(n.Pipe, in); t != nil && t.Kind() == reflect.Slice {
		element = t.Elem()
	}
	f.list(n.List, in.under(element))
	f.list(n.ElseList, in)
	return []parse.Node{n}
}

// turns are the nodes of each turn of a range that always goes through the same
// few things.
func (f *folder) turns(n *parse.RangeNode, in scope) ([]parse.Node, bool) {
	const few = 20
	v, ok := f.value(n.Pipe, in)
	elements := reflect.ValueOf(v)
	if !ok || elements.Kind() != reflect.Slice || elements.Len() == 0 || elements.Len() > few || leaps(n.List) {
		return nil, false
	}
	var all []parse.Node
	for i := range elements.Len() {
		inside, ok := f.inside(n.List, in.underConstant(elements.Index(i).Interface()))
		if !ok {
			return nil, false
		}
		all = append(all, inside...)
	}
	return all, true
}

// value is what a pipe always comes to; false when it names something from outside.
func (f *folder) value(p *parse.PipeNode, in scope) (any, bool) {
	if !fixed(p, in.constant) {
		return nil, false
	}
	_, ok := f.execute(action(command(parse.NewIdentifier("keep"), p)), in)
	return *f.kept, ok
}

func (f *folder) execute(n parse.Node, in scope) (string, bool) {
	f.once.Nodes = []parse.Node{n}
	var out strings.Builder
	err := f.page.ExecuteTemplate(&out, constant, in.value)
	return out.String(), err == nil
}
