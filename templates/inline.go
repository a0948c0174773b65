package templates

import (
	"text/template/parse"
)

// inline puts the templates that the layout leads to into the places where they
// are called, before html/template escapes the page: each copy is escaped for
// the place where it stands, and a call is a node less. What nobody calls any
// more is let go.
func (f *folder) inline() {
	layout := f.tree("layout")
	if layout == nil {
		return
	}
	in := inliner{folder: f, declared: map[string]bool{}, open: map[string]bool{"layout": true}}
	declare(layout.Root, in.declared)
	in.list(layout.Root)
	called := map[string]bool{}
	f.called("layout", called)
	for _, t := range f.page.Templates() {
		if !called[t.Name()] && t.Tree != nil {
			t.Tree.Root.Nodes = nil
		}
	}
}

func (f *folder) tree(name string) *parse.Tree {
	t := f.page.Lookup(name)
	if t == nil {
		return nil
	}
	return t.Tree
}

// called notes a template and all that it leads to.
func (f *folder) called(name string, all map[string]bool) {
	t := f.tree(name)
	if all[name] || t == nil {
		return
	}
	all[name] = true
	each(t.Root, func(n parse.Node) {
		if n, ok := n.(*parse.TemplateNode); ok {
			f.called(n.Name, all)
		}
	})
}

type inliner struct {
	*folder
	declared map[string]bool // the variables of what has been put together
	open     map[string]bool // templates that lead to where we are
}

// list goes through nodes whose dot is what the page is executed with: where it
// is another, a template would find another.
func (in *inliner) list(l *parse.ListNode) {
	if l == nil {
		return
	}
	var nodes []parse.Node
	for _, n := range l.Nodes {
		switch n := n.(type) {
		case *parse.TemplateNode:
			if inside, ok := in.body(n); ok {
				nodes = append(nodes, inside...)
				continue
			}
		case *parse.IfNode:
			in.list(n.List)
			in.list(n.ElseList)
		case *parse.WithNode:
			in.list(n.ElseList)
		case *parse.RangeNode:
			in.list(n.ElseList)
		}
		nodes = append(nodes, n)
	}
	l.Nodes = nodes
}

// body are the nodes of a template that is called with the page's dot. Its
// variables must not hide those of the caller.
func (in *inliner) body(n *parse.TemplateNode) ([]parse.Node, bool) {
	t := in.tree(n.Name)
	if t == nil || in.open[n.Name] || !isWhole(n.Pipe) {
		return nil, false
	}
	own := map[string]bool{}
	declare(t.Root, own)
	for name := range own {
		if in.declared[name] {
			return nil, false
		}
		in.declared[name] = true
	}
	in.open[n.Name] = true
	defer delete(in.open, n.Name)
	body := t.Root.CopyList()
	in.list(body)
	return body.Nodes, true
}

// isWhole tells the pipes {{template "name" .}} and {{template "name" $}}.
func isWhole(p *parse.PipeNode) bool {
	return p != nil && len(p.Decl) == 0 && (p.String() == "." || p.String() == "$")
}

// declare notes the variables that are declared in a list.
func declare(l *parse.ListNode, names map[string]bool) {
	each(l, func(n parse.Node) {
		if p, ok := n.(*parse.PipeNode); ok {
			for _, v := range p.Decl {
				names[v.Ident[0]] = true
			}
		}
	})
}

// each visits a node and all in it.
func each(n parse.Node, visit func(parse.Node)) {
	visit(n)
	for _, c := range children(n) {
		each(c, visit)
	}
}

// children are the nodes right inside another.
func children(n parse.Node) []parse.Node {
	switch n := n.(type) {
	case *parse.ListNode:
		return n.Nodes
	case *parse.ActionNode:
		return []parse.Node{n.Pipe}
	case *parse.PipeNode:
		return nodes(n.Cmds)
	case *parse.CommandNode:
		return n.Args
	case *parse.ChainNode:
		return []parse.Node{n.Node}
	case *parse.TemplateNode:
		return nodes([]*parse.PipeNode{n.Pipe})
	case *parse.IfNode:
		return inBranch(&n.BranchNode)
	case *parse.WithNode:
		return inBranch(&n.BranchNode)
	case *parse.RangeNode:
		return inBranch(&n.BranchNode)
	}
	return nil
}

func inBranch(b *parse.BranchNode) []parse.Node {
	return append([]parse.Node{b.Pipe}, nodes([]*parse.ListNode{b.List, b.ElseList})...)
}

// nodes are those of a list that are there.
func nodes[N interface {
	comparable
	parse.Node
}](list []N) []parse.Node {
	var all []parse.Node
	var none N
	for _, n := range list {
		if n != none {
			all = append(all, n)
		}
	}
	return all
}
