package templates

import (
	"reflect"
	"text/template/parse"
)

// kindOf is the type of what a pipe comes to, as far as it is the same for every
// reader; nil when it is not known.
func (f *folder) kindOf(p *parse.PipeNode, in scope) reflect.Type {
	if len(p.Cmds) == 0 {
		return nil
	}
	return f.kindOfNode(p.Cmds[len(p.Cmds)-1].Args[0], in)
}

func (f *folder) kindOfNode(n parse.Node, in scope) reflect.Type {
	switch n := n.(type) {
	case *parse.StringNode:
		return reflect.TypeFor[string]()
	case *parse.DotNode:
		return in.dot
	case *parse.FieldNode:
		return f.member(in.dot, n.Ident)
	case *parse.VariableNode:
		if n.Ident[0] == "$" {
			return f.member(in.root, n.Ident[1:])
		}
	case *parse.PipeNode:
		return f.kindOf(n, in)
	case *parse.IdentifierNode:
		if t := reflect.TypeOf(f.functions[n.Ident]); t != nil {
			return known(t.Out(0))
		}
	}
	return nil
}

// member is the type of a field or a method of a field, and so on.
func (f *folder) member(t reflect.Type, names []string) reflect.Type {
	for _, name := range names {
		switch {
		case t == nil:
			return nil
		case t == reflect.TypeFor[view]() && name == "Page":
			t = reflect.TypeOf(f.kind)
		default:
			t = known(memberOf(t, name))
		}
	}
	return t
}

func memberOf(t reflect.Type, name string) reflect.Type {
	if m, ok := t.MethodByName(name); ok {
		return m.Type.Out(0)
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct { // a map may lack what it is asked for
		return nil
	}
	field, _ := t.FieldByName(name)
	return field.Type
}

// known leaves out the types that tell nothing of what a value is.
func known(t reflect.Type) reflect.Type {
	if t == nil || t.Kind() == reflect.Interface {
		return nil
	}
	return t
}
