package simulate

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// syntax reports what the parser says, without its excerpt of the file.
func (r *reader) syntax(err error) {
	line, column, value, message := 1, 1, "", err.Error()
	if at, ok := errors.AsType[yaml.Error](err); ok {
		message = at.GetMessage()
		if t := at.GetToken(); t != nil && t.Position != nil {
			line, column, value = t.Position.Line, t.Position.Column, strings.TrimSpace(t.Value)
		}
	}
	r.fail(line, column, "file", value, "is not YAML: "+strings.Join(strings.Fields(message), " "))
}

// decode sets what the node says. The types that it knows are those of
// [Scenario]; a field's tag is its key, "-" is none.
func (r *reader) decode(n *node, path string, to reflect.Value) {
	switch p := to.Addr().Interface().(type) {
	case *[]byte:
		*p = []byte(n.flow())
		return
	case *time.Duration:
		*p = r.duration(n, path)
		return
	case *time.Time:
		*p = r.instant(n, path)
		return
	case *Share:
		*p = r.share(n, path)
		return
	case *map[string]int64:
		*p = r.amounts(n, path)
		return
	}
	switch to.Kind() {
	case reflect.Struct:
		r.structure(n, path, to)
	case reflect.Slice:
		r.slice(n, path, to)
	case reflect.String:
		to.SetString(r.word(n, path, to))
	case reflect.Bool:
		to.SetBool(r.truth(n, path))
	case reflect.Int64:
		to.SetInt(r.whole(n, path))
	default:
		to.SetFloat(r.number(n, path))
	}
}

// wrong reports a node that is not what it must be.
func (r *reader) wrong(n *node, path, want string) {
	if n.kind == nothing {
		want = "has no value: give it one, or leave the key out"
	}
	r.fail(n.line, n.column, path, n.shown(), want)
}

func (r *reader) structure(n *node, path string, to reflect.Value) {
	if n.kind != mapping {
		r.wrong(n, path, "must be a mapping: write key: value")
		return
	}
	fields := make(map[string]int)
	var known []string
	for i := range to.NumField() {
		if tag := to.Type().Field(i).Tag.Get("yaml"); tag != "-" && tag != "" {
			fields[tag] = i
			known = append(known, tag)
		}
	}
	for _, e := range n.entries {
		i, ok := fields[e.name]
		if !ok {
			r.fail(e.line, e.column, orFile(path), e.name, "unknown key: keys are "+strings.Join(known, ", "))
			continue
		}
		r.decode(e.value, join(path, e.name), to.Field(i))
	}
}

func (r *reader) slice(n *node, path string, to reflect.Value) {
	if n.kind != list {
		r.wrong(n, path, "must be a list: write [ ] around it, or a dash before each item")
		return
	}
	to.Set(reflect.MakeSlice(to.Type(), len(n.items), len(n.items)))
	for i, item := range n.items {
		r.decode(item, fmt.Sprintf("%s[%d]", path, i), to.Index(i))
	}
}

// chooser is a type of words of which there are only some.
type chooser interface{ choices() []string }

func (r *reader) word(n *node, path string, to reflect.Value) string {
	if !n.isText() {
		r.wrong(n, path, "must be text")
		return ""
	}
	if c, ok := reflect.TypeAssert[chooser](to); ok && !slices.Contains(c.choices(), n.text) {
		r.wrong(n, path, "must be one of "+strings.Join(c.choices(), ", "))
		return ""
	}
	return n.text
}

func (r *reader) truth(n *node, path string) bool {
	if n.kind != plain || n.text != "true" && n.text != "false" {
		r.wrong(n, path, "must be true or false, without quotes")
	}
	return n.text == "true"
}

func (r *reader) whole(n *node, path string) int64 {
	i, err := strconv.ParseInt(n.text, 10, 64)
	if n.kind != plain || err != nil {
		r.wrong(n, path, "must be a whole number in decimal digits")
	}
	return i
}

func (r *reader) number(n *node, path string) float64 {
	f, err := strconv.ParseFloat(n.text, 64)
	if n.kind != plain || err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		r.wrong(n, path, "must be a number")
		return 0
	}
	return f
}

func (r *reader) share(n *node, path string) Share {
	percent, ok := strings.CutSuffix(n.text, "%")
	f, err := strconv.ParseFloat(percent, 64)
	if !n.isText() || !ok || err != nil || !(0 <= f && f <= 100) {
		r.wrong(n, path, "must be a share from 0% to 100%, such as 2.5%")
		return 0
	}
	return Share(f / 100)
}

func (r *reader) duration(n *node, path string) time.Duration {
	d, err := time.ParseDuration(n.text)
	if !n.isText() || err != nil {
		r.wrong(n, path, "must be a time with its unit, such as 500ms, 10s or 1h30m")
	}
	return d
}

func (r *reader) instant(n *node, path string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, n.text)
	if err != nil {
		r.wrong(n, path, "must be an instant, such as 2026-03-01T23:50:00Z")
	}
	return t
}

// amounts are whole numbers by name.
func (r *reader) amounts(n *node, path string) map[string]int64 {
	if n.kind != mapping {
		r.wrong(n, path, "must be a mapping: write key: value")
		return nil
	}
	amounts := make(map[string]int64, len(n.entries))
	for _, e := range n.entries {
		amounts[e.name] = r.whole(e.value, join(path, e.name))
	}
	return amounts
}
