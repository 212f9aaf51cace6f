package simulate

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a scenario's file: far above what one needs, and where the parser's
// time, which grows with the square of some inputs, still does not matter.
const (
	maxSize  = 64 << 10
	maxDepth = 24
)

// nodeKind is what a node is.
type nodeKind uint8

const (
	nothing nodeKind = iota
	plain            // a scalar without quotes
	quoted
	list
	mapping
)

// node is a value of a file. Nodes are shared by the variants of a scenario, so
// none is changed once it is made.
type node struct {
	kind         nodeKind
	line, column int
	text         string
	items        []*node
	entries      []entry
}

// entry is a key of a mapping.
type entry struct {
	name         string
	line, column int
	value        *node
}

// get is the value of a key; nil without one.
func (n *node) get(name string) *node {
	for _, e := range n.entries {
		if e.name == name {
			return e.value
		}
	}
	return nil
}

// isText reports whether the node can be read as text: quotes around a time or a share
// change nothing, as other programs write them.
func (n *node) isText() bool { return n.kind == plain || n.kind == quoted }

// shown is the node as errors show it.
func (n *node) shown() string {
	switch n.kind {
	case mapping:
		return "{…}"
	case list:
		return "[…]"
	default:
		return n.text
	}
}

// flow is the node as YAML in one line.
func (n *node) flow() string {
	var parts []string
	switch n.kind {
	case nothing:
		return "null"
	case plain:
		return n.text
	case quoted:
		return fmt.Sprintf("%q", n.text)
	case list:
		for _, item := range n.items {
			parts = append(parts, item.flow())
		}
		return "[" + strings.Join(parts, ", ") + "]"
	default:
		for _, e := range n.entries {
			parts = append(parts, fmt.Sprintf("%q: %s", e.name, e.value.flow()))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
}

// reader makes nodes of a file, and gathers what is wrong with it.
type reader struct {
	file     string
	problems []Problem
}

// mostProblems keeps the report of a hopeless file within what can be read.
const mostProblems = 50

func (r *reader) fail(line, column int, field, value, remedy string) {
	if len(r.problems) < mostProblems {
		r.problems = append(r.problems, Problem{r.file, line, column, field, value, remedy})
	}
}

// err is nil, not an empty *Error, when nothing is wrong.
func (r *reader) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	return &Error{r.problems}
}

// read makes nodes of the file's only document; nil when something is wrong.
func (r *reader) read(data []byte) *node {
	text := string(data)
	if len(text) > maxSize || !utf8.ValidString(text) || strings.ContainsFunc(text, control) {
		r.fail(1, 1, "file", "", fmt.Sprintf("must be UTF-8 of at most %d bytes without control characters", maxSize))
		return nil
	}
	tokens := lexer.Tokenize(text)
	if t := tooDeep(tokens); t != nil {
		r.fail(t.Position.Line, t.Position.Column, "file", t.Value, fmt.Sprintf("nested more than %d deep", maxDepth))
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.syntax(err)
		return nil
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		r.fail(1, 1, "file", "", "must have one document: a scenario")
		return nil
	}
	n := r.node(file.Docs[0].Body, "")
	if n.kind != mapping && len(r.problems) == 0 {
		r.fail(n.line, n.column, "file", n.shown(), "must be a mapping: write key: value")
	}
	if len(r.problems) > 0 {
		return nil
	}
	return n
}

func control(c rune) bool { return c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7f }

// tooDeep is the first token that goes deeper than maxDepth, by brackets or by
// dashes on one line.
func tooDeep(tokens token.Tokens) *token.Token {
	brackets, dashes, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			dashes, line = 0, t.Position.Line
		}
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			brackets++
		case token.MappingEndType, token.SequenceEndType:
			brackets--
		case token.SequenceEntryType, token.MappingKeyType:
			dashes++
		default:
		}
		if brackets > maxDepth || dashes > maxDepth {
			return t
		}
	}
	return nil
}

// node makes a node of the parser's.
func (r *reader) node(n ast.Node, path string) *node {
	made := &node{}
	if t := n.GetToken(); t != nil && t.Position != nil {
		made.line, made.column = t.Position.Line, t.Position.Column
	}
	switch n := n.(type) {
	case *ast.NullNode:
	case *ast.StringNode:
		made.kind, made.text = plain, n.Value
		if n.Token.Type == token.DoubleQuoteType || n.Token.Type == token.SingleQuoteType {
			made.kind = quoted
		}
	case *ast.LiteralNode:
		made.kind, made.text = quoted, n.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		made.kind, made.text = plain, n.GetToken().Value
	case *ast.SequenceNode:
		made.kind = list
		for i, item := range n.Values {
			made.items = append(made.items, r.node(item, fmt.Sprintf("%s[%d]", path, i)))
		}
	case *ast.MappingNode:
		r.mapping(made, n, path)
	default:
		r.fail(made.line, made.column, orFile(path), "", "anchors, aliases, merge keys and tags are not read: write the value out")
	}
	return made
}

func (r *reader) mapping(made *node, n *ast.MappingNode, path string) {
	made.kind = mapping
	for i, pair := range n.Values {
		at := pair.Key.GetToken()
		key, ok := pair.Key.(*ast.StringNode)
		if !ok {
			r.fail(at.Position.Line, at.Position.Column, orFile(path), at.Value, "keys must be text")
			continue
		}
		if i == 0 && !n.IsFlowStyle {
			made.line, made.column = at.Position.Line, at.Position.Column
		}
		if made.get(key.Value) != nil {
			r.fail(at.Position.Line, at.Position.Column, orFile(path), key.Value, "duplicate key: leave one of them out")
			continue
		}
		value := r.node(pair.Value, join(path, key.Value))
		if value.kind == nothing {
			value.line, value.column = at.Position.Line, at.Position.Column
		}
		made.entries = append(made.entries, entry{key.Value, at.Position.Line, at.Position.Column, value})
	}
}

func orFile(path string) string {
	if path == "" {
		return "file"
	}
	return path
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
