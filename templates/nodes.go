package templates

import (
	"slices"
	"strconv"
	"text/template/parse"
)

// fixed reports whether a node names nothing from outside itself. Within says
// that what gives the dot its meaning is known.
func fixed(n parse.Node, within bool) bool {
	switch n := n.(type) {
	case *parse.TextNode, *parse.IdentifierNode, *parse.StringNode, *parse.NumberNode, *parse.BoolNode, *parse.NilNode:
		return true
	case *parse.DotNode, *parse.FieldNode:
		return within
	case *parse.PipeNode:
		return len(n.Decl) == 0 && allFixed(children(n), within)
	case *parse.ChainNode, *parse.ActionNode, *parse.CommandNode, *parse.ListNode, *parse.IfNode:
		return allFixed(children(n), within)
	case *parse.WithNode:
		return fixedBranch(&n.BranchNode, within)
	case *parse.RangeNode:
		return fixedBranch(&n.BranchNode, within)
	}
	return false // variables, and other templates
}

func fixedBranch(b *parse.BranchNode, within bool) bool {
	return fixed(b.Pipe, within) && fixed(b.List, true) && (b.ElseList == nil || fixed(b.ElseList, within))
}

func allFixed(nodes []parse.Node, within bool) bool {
	return !slices.ContainsFunc(nodes, func(n parse.Node) bool { return !fixed(n, within) })
}

// mentionsDot reports whether the dot of the place where it stands means
// something to a node.
func mentionsDot(n parse.Node) bool {
	switch n := n.(type) {
	case *parse.DotNode, *parse.FieldNode:
		return true
	case *parse.WithNode:
		return mentionsDot(n.Pipe) || n.ElseList != nil && mentionsDot(n.ElseList)
	case *parse.RangeNode:
		return mentionsDot(n.Pipe) || n.ElseList != nil && mentionsDot(n.ElseList)
	}
	return slices.ContainsFunc(children(n), mentionsDot)
}

// declares tells a node that declares a variable for those after it.
func declares(n parse.Node) bool {
	a, ok := n.(*parse.ActionNode)
	return ok && len(a.Pipe.Decl) > 0
}

// leaps reports whether something in a list leaves a turn of a range.
func leaps(l *parse.ListNode) bool {
	found := false
	each(l, func(n parse.Node) {
		found = found || n.Type() == parse.NodeBreak || n.Type() == parse.NodeContinue
	})
	return found
}

func textNode(text string) parse.Node {
	return &parse.TextNode{NodeType: parse.NodeText, Text: []byte(text)}
}

func stringNode(text string) *parse.StringNode {
	return &parse.StringNode{NodeType: parse.NodeString, Quoted: strconv.Quote(text), Text: text}
}

func command(args ...parse.Node) *parse.CommandNode {
	return &parse.CommandNode{NodeType: parse.NodeCommand, Args: args}
}

func action(commands ...*parse.CommandNode) *parse.ActionNode {
	return &parse.ActionNode{NodeType: parse.NodeAction, Pipe: &parse.PipeNode{NodeType: parse.NodePipe, Cmds: commands}}
}
