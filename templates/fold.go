package templates

import (
	"fmt"
	"html/template"
	"io"
	"strings"
	"text/template/parse"
)

// constant is the template that a page's constants are executed in, one at a
// time. At first it leads to the whole page without writing any of it.
const (
	constant   = "constant of this page"
	wholeUnrun = `{{if .}}{{template "layout" .}}{{end}}`
)

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
func fold(page *template.Template) error {
	once, err := page.New(constant).Parse(wholeUnrun)
	if err != nil {
		return fmt.Errorf("prepare to fold: %w", err)
	}
	if err := page.ExecuteTemplate(io.Discard, constant, false); err != nil { // escapes what it leads to
		return fmt.Errorf("escape: %w", err)
	}
	f := folder{page: page, once: once.Tree.Root, seen: map[string]bool{}}
	f.template("layout")
	f.once.Nodes = nil
	return nil
}

type folder struct {
	page *template.Template
	once *parse.ListNode // of the template in which constants are executed
	seen map[string]bool
}

// template folds one of the page's, and those that it leads to. html/template
// keeps to itself what it has made of templates that stand in an attribute or
// the title: they stay as they are.
func (f *folder) template(name string) {
	t := f.page.Lookup(name)
	if t == nil || t.Tree == nil || f.seen[name] {
		return
	}
	f.seen[name] = true
	f.list(t.Tree.Root)
}

// list folds the nodes of a list, and joins the text that comes of it.
func (f *folder) list(l *parse.ListNode) {
	if l == nil {
		return
	}
	var folded []parse.Node
	for _, n := range l.Nodes {
		n = f.node(n)
		text, ok := n.(*parse.TextNode)
		if ok && len(folded) > 0 {
			if before, ok := folded[len(folded)-1].(*parse.TextNode); ok {
				before.Text = append(before.Text, text.Text...)
				continue
			}
		}
		folded = append(folded, n)
	}
	l.Nodes = folded
}

func (f *folder) node(n parse.Node) parse.Node {
	if n.Type() != parse.NodeText && fixed(n, false) {
		if text, ok := f.execute(n); ok {
			return &parse.TextNode{NodeType: parse.NodeText, Pos: n.Position(), Text: []byte(text)}
		}
	}
	switch n := n.(type) {
	case *parse.IfNode:
		f.list(n.List)
		f.list(n.ElseList)
	case *parse.WithNode:
		f.list(n.List)
		f.list(n.ElseList)
	case *parse.RangeNode:
		f.list(n.List)
		f.list(n.ElseList)
	case *parse.TemplateNode:
		f.template(n.Name)
	}
	return n
}

func (f *folder) execute(n parse.Node) (string, bool) {
	f.once.Nodes = []parse.Node{n}
	var out strings.Builder
	err := f.page.ExecuteTemplate(&out, constant, nil)
	return out.String(), err == nil
}

// fixed reports whether a node names nothing from outside itself. Within says
// that it is inside one that has given the dot its meaning.
func fixed(n parse.Node, within bool) bool {
	switch n := n.(type) {
	case *parse.TextNode, *parse.IdentifierNode, *parse.StringNode, *parse.NumberNode, *parse.BoolNode, *parse.NilNode:
		return true
	case *parse.DotNode, *parse.FieldNode:
		return within
	case *parse.ChainNode: // (institution).Name
		return fixed(n.Node, within)
	case *parse.ActionNode:
		return fixed(n.Pipe, within)
	case *parse.PipeNode:
		return len(n.Decl) == 0 && all(n.Cmds, within)
	case *parse.CommandNode:
		return all(n.Args, within)
	case *parse.ListNode:
		return n == nil || all(n.Nodes, within)
	case *parse.IfNode:
		return fixed(n.Pipe, within) && fixed(n.List, within) && fixed(n.ElseList, within)
	case *parse.WithNode:
		return fixed(n.Pipe, within) && fixed(n.List, true) && fixed(n.ElseList, within)
	case *parse.RangeNode:
		return fixed(n.Pipe, within) && fixed(n.List, true) && fixed(n.ElseList, within)
	}
	return false // variables, and other templates
}

func all[N parse.Node](nodes []N, within bool) bool {
	for _, n := range nodes {
		if !fixed(n, within) {
			return false
		}
	}
	return true
}
