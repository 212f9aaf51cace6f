package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/quotabroker/quotabroker/server/quota"
)

// value is one node of the file. Its methods report to the file's reader what
// is wrong, and then return zero: reading goes on, to find everything.
type value struct {
	r *reader
	// path is the field, such as "apis.linkedin"; empty at the top.
	path string
	// key is where the value's key stands; nil at the top and in a list.
	key  *token.Token
	node ast.Node
}

// fail reports the value as wrong.
func (v value) fail(remedy string) {
	v.r.fail(v.position(), v.field(), v.shown(), remedy)
}

func (v value) failf(format string, args ...any) { v.fail(fmt.Sprintf(format, args...)) }

// position is where the value begins; its key where a value has none, or
// where the node's own token is the one after its first key.
func (v value) position() position {
	switch n := v.node.(type) {
	case *ast.NullNode:
		if v.key != nil {
			return positionOf(v.key)
		}
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return positionOf(n.Values[0].Key.GetToken())
		}
	}
	return positionOf(v.node.GetToken())
}

func (v value) field() string {
	if v.path == "" {
		return "file"
	}
	return v.path
}

// shown is the value as errors show it.
func (v value) shown() string {
	switch v.node.(type) {
	case *ast.MappingNode:
		return "{…}"
	case *ast.SequenceNode:
		return "[…]"
	case *ast.NullNode:
		return ""
	default:
		return v.node.GetToken().Value
	}
}

// wrongType reports a value that is not what it must be.
func (v value) wrongType(want string) {
	switch v.node.Type() {
	case ast.NullType:
		v.fail("has no value: give it one, or leave the key out")
	case ast.AnchorType, ast.AliasType, ast.TagType, ast.MergeKeyType:
		v.fail("anchors, aliases, merge keys and tags are not read: write the value out")
	default:
		v.fail(want)
	}
}

// text is a text in one line that is not empty.
func (v value) text() string {
	n, ok := v.node.(*ast.StringNode)
	switch {
	case !ok && v.isScalar():
		v.fail("must be text: put it in quotes")
	case !ok:
		v.wrongType("must be text in one line")
	case n.Value == "":
		v.fail("is empty: give it a value, or leave the key out")
	case strings.ContainsFunc(n.Value, unicode.IsControl):
		v.fail("must not have control characters")
	case strings.TrimSpace(n.Value) != n.Value:
		v.fail("must not begin or end with a space")
	default:
		return n.Value
	}
	return ""
}

// isScalar reports what YAML takes for something else than text if it has no
// quotes.
func (v value) isScalar() bool {
	switch v.node.(type) {
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return true
	}
	return false
}

// part is a text that is fit to be a part of a scope.
func (v value) part() string {
	text := v.text()
	if err := quota.CheckPart("", text); err != nil {
		v.fail(remedyOf(err))
		return ""
	}
	return text
}

// truth is true or false.
func (v value) truth() bool {
	n, ok := v.node.(*ast.BoolNode)
	if !ok {
		v.wrongType("must be true or false, without quotes")
		return false
	}
	return n.Value
}

// whole is a whole number from 1 to most, in plain decimal digits: what else
// YAML takes for a number (010 is eight) is not what an operator meant.
func (v value) whole(most int64, or string) int64 {
	if n, ok := v.node.(*ast.IntegerNode); ok {
		i, err := strconv.ParseInt(n.Token.Value, 10, 64)
		if err == nil && 1 <= i && i <= most && n.Token.Value[0] != '0' && n.Token.Value[0] != '+' {
			return i
		}
	}
	v.wrongType(fmt.Sprintf("must be a whole number from 1 to %d in decimal digits%s", most, or))
	return 0
}

// duration is a time from a millisecond to most.
func (v value) duration(most time.Duration) time.Duration {
	if n, ok := v.node.(*ast.StringNode); ok {
		if d, err := time.ParseDuration(n.Value); err == nil && time.Millisecond <= d && d <= most {
			return d
		}
	}
	longest := strings.TrimSuffix(most.String(), "0m0s")
	v.wrongType("must be a time from 1ms to " + longest + " with its unit, such as 500ms, 10s or 1h30m")
	return 0
}

// list is the values of a list that is not empty.
func (v value) list() []value {
	n, ok := v.node.(*ast.SequenceNode)
	if !ok {
		v.wrongType("must be a list: write [ ] around it, or a dash before each item")
		return nil
	}
	if len(n.Values) == 0 {
		v.fail("is empty: give it items, or leave the key out")
	}
	values := make([]value, len(n.Values))
	for i, item := range n.Values {
		values[i] = value{v.r, fmt.Sprintf("%s[%d]", v.path, i), nil, item}
	}
	return values
}

// distinct reads the items of a list. One with the same key as another is reported; an
// item that has no key is none of those.
func distinct[T any, K comparable](v value, read func(value) T, key func(T) K, duplicate func(value, T)) []T {
	var none K
	var items []T
	seen := make(map[K]bool)
	for _, item := range v.list() {
		t := read(item)
		k := key(t)
		if seen[k] && k != none {
			duplicate(item, t)
		}
		seen[k] = true
		items = append(items, t)
	}
	return items
}

// named is a value with a name: an item of a list of names, or the value of a
// key.
type named struct {
	value
	name string
}

// names is a list of names, each once.
func (v value) names() []named {
	seen := make(map[string]bool)
	var names []named
	for _, item := range v.list() {
		name := item.part()
		switch {
		case name == "":
		case seen[name]:
			item.fail("is in the list already: leave one of them out")
		default:
			seen[name] = true
			names = append(names, named{item, name})
		}
	}
	return names
}

// remedyOf is the remedy of an error of package quota, whose field and value
// are not those of the file.
func remedyOf(err error) string {
	if f, ok := errors.AsType[*quota.FieldError](err); ok {
		return f.Remedy
	}
	return err.Error()
}
