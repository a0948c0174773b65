package templates

import (
	"html/template"
	"reflect"
	"strings"
	"text/template/parse"
)

// What html/template puts after a value, by the place where it stands.
const (
	inText      = "_html_template_htmlescaper"
	inAttribute = "_html_template_attrescaper"
	inTitle     = "_html_template_rcdataescaper"
	inAddress   = "_html_template_urlfilter _html_template_urlnormalizer " + inAttribute
)

// escapes tells the places where a text is escaped letter by letter: its parts
// may be escaped one by one.
func escapes(escapers string) bool {
	return escapers == inText || escapers == inAttribute || escapers == inTitle
}

// action takes a message apart, and finds a shorter way to write a value.
func (f *folder) action(n *parse.ActionNode, in scope) []parse.Node {
	f.arguments(n.Pipe, in)
	if parts, ok := f.message(n.Pipe, in); ok {
		return f.nodes(parts, in)
	}
	f.shorten(n.Pipe, in)
	return []parse.Node{n}
}

// apart separates what a pipe says from how html/template escapes it.
func apart(p *parse.PipeNode) (value []*parse.CommandNode, escapers string) {
	at := len(p.Cmds)
	var names []string
	for ; at > 1; at-- {
		name, ok := p.Cmds[at-1].Args[0].(*parse.IdentifierNode)
		if !ok || !strings.HasPrefix(name.Ident, "_html_template_") {
			break
		}
		names = append([]string{name.Ident}, names...)
	}
	return p.Cmds[:at], strings.Join(names, " ")
}

// arguments puts the text in the place of a pipe that a function is given, where
// it is always the same.
func (f *folder) arguments(p *parse.PipeNode, in scope) {
	for _, c := range p.Cmds {
		for i, arg := range c.Args {
			inner, ok := arg.(*parse.PipeNode)
			if !ok {
				continue
			}
			f.arguments(inner, in)
			if v, ok := f.value(inner, in); ok && i > 0 {
				if text, ok := v.(string); ok {
					c.Args[i] = stringNode(text)
				}
			}
		}
	}
}

// shorten spares a value the escapers that leave it as it is, and a string those
// that have to find out what it is.
func (f *folder) shorten(p *parse.PipeNode, in scope) {
	value, escapers := apart(p)
	t := f.kindOf(&parse.PipeNode{Cmds: value}, in)
	switch {
	case t == nil:
	case t == reflect.TypeFor[template.HTML]() && escapers == inText, t == reflect.TypeFor[int]() && escapes(escapers):
		p.Cmds = value
	case t == reflect.TypeFor[string]() && escapes(escapers):
		p.Cmds = append(value[:len(value):len(value)], command(parse.NewIdentifier("escaped")))
	case t == reflect.TypeFor[string]() && escapers == inAddress:
		p.Cmds = append(value[:len(value):len(value)], command(parse.NewIdentifier("address")))
	}
}
