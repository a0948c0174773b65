package templates

import (
	"html/template"
	"reflect"
	"text/template/parse"
)

// saying is a message where a page says it: its key, its values, and how
// html/template escapes it there.
type saying struct {
	function, key string
	values        map[string]parse.Node
	escapers      []*parse.CommandNode
	in            scope
}

// message takes a message apart where it stands: what it says in its own words is
// folded like all that is constant, and its values are written by themselves.
// False where a place escapes a whole otherwise than its parts.
func (f *folder) message(p *parse.PipeNode, in scope) ([]parse.Node, bool) {
	value, escapers := apart(p)
	m, ok := newSaying(value)
	if !ok {
		return nil, false
	}
	s, ok := f.words.placed[m.key]
	m.escapers, m.in = p.Cmds[len(value):], in
	switch {
	case !ok:
		return nil, false
	case m.function == "t" && escapes(escapers):
		return f.sentence(s.plain, m, m.text, f.asText)
	case m.function == "rich" && escapers == inText:
		return f.sentence(s.rich, m, textNode, f.asHTML)
	}
	return nil, false
}

// newSaying reads {{t "key" "Place" value …}}; false when it is something else.
func newSaying(value []*parse.CommandNode) (saying, bool) {
	if len(value) != 1 || len(value[0].Args)%2 != 0 {
		return saying{}, false
	}
	args := value[0].Args
	function, ok := args[0].(*parse.IdentifierNode)
	if !ok {
		return saying{}, false
	}
	key, ok := args[1].(*parse.StringNode)
	if !ok {
		return saying{}, false
	}
	m := saying{function: function.Ident, key: key.Text, values: map[string]parse.Node{}}
	for i := 2; i < len(args); i += 2 {
		name, ok := args[i].(*parse.StringNode)
		if !ok {
			return saying{}, false
		}
		m.values[name.Text] = args[i+1]
	}
	return m, true
}

// sentence are the nodes of a message; false when a value is missing: then it
// stays as it is, and says so to whoever comes to it.
func (f *folder) sentence(parts []part, m saying, text func(string) parse.Node, value func(parse.Node, saying) parse.Node) ([]parse.Node, bool) {
	var nodes []parse.Node
	for _, p := range parts {
		if p.place == "" {
			nodes = append(nodes, text(p.text))
			continue
		}
		v, ok := m.values[p.place]
		if !ok {
			figure, ok := f.words.figures[p.place].(string)
			if !ok {
				return nil, false
			}
			v = stringNode(figure)
		}
		nodes = append(nodes, value(v.Copy(), m))
	}
	return nodes, true
}

// text is a stretch of a message, escaped as the whole would be.
func (m saying) text(text string) parse.Node {
	return m.escaped(command(stringNode(text)))
}

func (m saying) escaped(c *parse.CommandNode) parse.Node {
	return action(append([]*parse.CommandNode{c}, m.escapers...)...)
}

// asText is a value as fill would write it, escaped as the whole would be.
func (f *folder) asText(v parse.Node, m saying) parse.Node {
	if t := f.kindOfNode(v, m.in); t == reflect.TypeFor[string]() || t == reflect.TypeFor[int]() {
		return m.escaped(command(v))
	}
	return m.escaped(command(parse.NewIdentifier("plain"), v))
}

// asHTML is a value as fill would write it into a message that is HTML.
func (f *folder) asHTML(v parse.Node, m saying) parse.Node {
	if f.kindOfNode(v, m.in) == reflect.TypeFor[template.HTML]() {
		return action(command(v))
	}
	return action(command(parse.NewIdentifier("marked"), v))
}
