package simulate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// mostVariants keeps a product of axes within what can be run.
const mostVariants = 100

// axis is one thing that a scenario varies.
type axis struct{ choices []choice }

// choice is one of an axis's values: a name, and what it sets.
type choice struct {
	name string
	sets []entry // by path
}

// axes reads what a file varies: the path of a field with a list of values, or a
// name of the axis's own with a mapping of names to paths and values.
func (r *reader) axes(vary *node) []axis {
	if vary.kind != mapping {
		r.wrong(vary, "vary", "must be a mapping of fields to lists of values")
		return nil
	}
	var all []axis
	product := 1
	for _, e := range vary.entries {
		a := r.axis(e)
		if product *= len(a.choices); product > mostVariants {
			r.fail(e.line, e.column, "vary", e.name, fmt.Sprintf("more than %d variants: name the combinations that matter", mostVariants))
			return nil
		}
		all = append(all, a)
	}
	return all
}

func (r *reader) axis(e entry) axis {
	var a axis
	path := join("vary", e.name)
	switch e.value.kind {
	case list:
		last := e.name[strings.LastIndexByte(e.name, '.')+1:]
		for _, item := range e.value.items {
			name := last + "=" + strings.Trim(item.flow(), `"`)
			a.choices = append(a.choices, choice{name, []entry{{e.name, e.line, e.column, item}}})
		}
	case mapping:
		for _, c := range e.value.entries {
			if c.value.kind != mapping {
				r.wrong(c.value, join(path, c.name), "must be a mapping of fields to values; {} changes nothing")
				continue
			}
			a.choices = append(a.choices, choice{c.name, c.value.entries})
		}
	default:
	}
	if len(a.choices) == 0 {
		r.wrong(e.value, path, "must be a list of values, or a mapping of names to fields and values, that is not empty")
	}
	return a
}

// variants are the product of the axes, the last one changing fastest.
func variants(axes []axis) []choice {
	all := []choice{{}}
	for _, a := range axes {
		var next []choice
		for _, v := range all {
			for _, c := range a.choices {
				name := c.name
				if v.name != "" {
					name = v.name + ", " + name
				}
				next = append(next, choice{name, slices.Concat(v.sets, c.sets)})
			}
		}
		all = next
	}
	return all
}

// with is the node with a value at a path, such as "upstream.limits[0].quota".
// What is not on the path is shared. Mappings that are missing are made, items of
// lists are not: ok is then false.
func (n *node) with(path string, value *node) (made *node, ok bool) {
	if path == "" {
		return value, true
	}
	if n == nil {
		n = &node{kind: mapping, line: value.line, column: value.column}
	}
	c := *n
	if strings.HasPrefix(path, "[") {
		index, rest, _ := strings.Cut(path[1:], "]")
		i, err := strconv.Atoi(index)
		if n.kind != list || err != nil || i < 0 || i >= len(n.items) {
			return nil, false
		}
		c.items = slices.Clone(n.items)
		c.items[i], ok = n.items[i].with(strings.TrimPrefix(rest, "."), value)
		return &c, ok
	}
	end := strings.IndexAny(path, ".[")
	if end < 0 {
		end = len(path)
	}
	name, rest := path[:end], strings.TrimPrefix(path[end:], ".")
	if n.kind != mapping || name == "" {
		return nil, false
	}
	child, ok := n.get(name).with(rest, value)
	if !ok {
		return nil, false
	}
	c.entries = slices.Clone(n.entries)
	i := slices.IndexFunc(c.entries, func(e entry) bool { return e.name == name })
	if i < 0 {
		c.entries = append(c.entries, entry{name, value.line, value.column, child})
		return &c, true
	}
	c.entries[i].value = child
	return &c, true
}

// at is the place of a path, or of the nearest value around it that is there.
func (n *node) at(path string) (line, column int) {
	line, column = n.line, n.column
	for path != "" && n != nil {
		end := strings.IndexAny(path[1:], ".[") + 1
		if end == 0 {
			end = len(path)
		}
		step := path[:end]
		if path = strings.TrimPrefix(path[end:], "."); strings.HasPrefix(step, "[") {
			i, err := strconv.Atoi(strings.Trim(step, "[]"))
			if err != nil || i < 0 || i >= len(n.items) {
				return line, column
			}
			n = n.items[i]
		} else {
			n = n.get(step)
		}
		if n != nil {
			line, column = n.line, n.column
		}
	}
	return line, column
}
