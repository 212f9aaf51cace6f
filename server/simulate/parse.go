package simulate

import (
	"embed"
	"errors"
	"fmt"
	"path"
	"reflect"
	"slices"
	"time"
)

// Parse reads a scenario, and returns its variants in the order of the file; one
// when it varies nothing. The error is an [*Error] with the place of each problem
// in the file, which name is only shown as.
//
// The file is strict YAML: a mapping of the fields of [Scenario] by their tags,
// and "vary". Times have units ("10s"), shares are in percent ("30%"); unknown
// and duplicate keys, anchors and tags are refused. Vary has what is varied, each
// by the path of a field with a list of values, or by a name of its own with
// named changes of several fields; a scenario's variants are all combinations:
//
//	vary:
//	  upstream.headers.round: [up, down, nearest]
//	  layout:
//	    narrow: {"upstream.limits[1].quota": 40}
//	    equal: {"upstream.limits[0].quota": 100, "upstream.limits[1].quota": 100}
func Parse(name string, data []byte) ([]*Scenario, error) {
	r := &reader{file: name}
	top := r.read(data)
	if top == nil {
		return nil, r.err()
	}
	choices := []choice{{}}
	if vary := top.get("vary"); vary != nil {
		choices = variants(r.axes(vary))
		c := *top
		c.entries = slices.DeleteFunc(slices.Clone(top.entries), func(e entry) bool { return e.name == "vary" })
		top = &c
	}
	var all []*Scenario
	for _, c := range choices {
		if len(r.problems) > 0 {
			break // the others have most of the same
		}
		all = append(all, r.scenario(top, c))
	}
	return all, r.err()
}

// scenario is one variant.
func (r *reader) scenario(top *node, c choice) *Scenario {
	for _, e := range c.sets {
		changed, ok := top.with(e.name, e.value)
		if !ok || e.name == "" { // the whole file is not a field
			r.fail(e.line, e.column, "vary", e.name, "no such field: name one as upstream.limits[0].quota does")
			return nil
		}
		top = changed
	}
	s := &Scenario{Variant: c.name}
	r.decode(top, "", reflect.ValueOf(s).Elem())
	if s.Start.IsZero() {
		s.Start = time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)
	}
	if len(r.problems) > 0 {
		return s
	}
	r.place(top, "", s.Validate())
	return s
}

// Section is the value at a path of keys in a YAML file, in one line of YAML: what a
// [Scenario]'s Broker is made of. It is nil when there is no such key. The file is
// read as strictly as [Parse] reads one.
func Section(name string, data []byte, keys ...string) ([]byte, error) {
	r := &reader{file: name}
	n := r.read(data)
	for _, key := range keys {
		if n == nil {
			return nil, r.err()
		}
		n = n.get(key)
	}
	if n == nil {
		return nil, r.err()
	}
	return []byte(n.flow()), nil
}

// ParseUpstream reads a file of which only the upstream counts: that of a scenario.
// The error is as that of [Parse].
func ParseUpstream(name string, data []byte) (API, error) {
	r := &reader{file: name}
	top := r.read(data)
	if top == nil {
		return API{}, r.err()
	}
	up := top.get("upstream")
	if up == nil {
		r.fail(top.line, top.column, "upstream", "", "is missing: the file must have it, as a scenario does")
		return API{}, r.err()
	}
	var a API
	if r.decode(up, "upstream", reflect.ValueOf(&a).Elem()); len(r.problems) == 0 {
		r.place(top, "upstream.", a.Validate())
	}
	return a, r.err()
}

// place gives the problems of a part of the file their places.
func (r *reader) place(top *node, part string, err error) {
	if e, ok := errors.AsType[*Error](err); ok {
		for _, p := range e.Problems {
			line, column := top.at(part + p.Field)
			r.fail(line, column, part+p.Field, p.Value, p.Remedy)
		}
	}
}

//go:embed scenarios/*.yaml
var scenarios embed.FS

// Builtins are the variants of all scenarios that come with this package, in the
// order of their files' names.
func Builtins() ([]*Scenario, error) {
	entries, err := scenarios.ReadDir("scenarios")
	if err != nil {
		return nil, fmt.Errorf("scenarios: %w", err)
	}
	var all []*Scenario
	for _, e := range entries {
		data, err := scenarios.ReadFile(path.Join("scenarios", e.Name()))
		if err != nil {
			return nil, fmt.Errorf("scenarios: %w", err)
		}
		variants, err := Parse(e.Name(), data)
		if err != nil {
			return nil, err
		}
		all = append(all, variants...)
	}
	return all, nil
}
