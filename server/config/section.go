package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// section is a mapping whose keys are known in advance. One that could not be
// read has no entries, and reports nothing more.
type section struct {
	value
	entries map[string]value
	// unknown is true when it has keys that are not known.
	unknown bool
}

// section reads a mapping, and reports the keys that are not known.
func (v value) section(known ...string) section {
	s := section{value: v}
	pairs, ok := v.pairs()
	if !ok {
		return s
	}
	s.entries = make(map[string]value, len(pairs))
	for _, k := range known {
		s.entries[k] = value{}
	}
	for _, p := range pairs {
		if _, ok := s.entries[p.name]; !ok {
			v.r.fail(positionOf(p.key), v.field(), p.name, "unknown key: keys are "+strings.Join(known, ", "))
			s.unknown = true
			continue
		}
		s.entries[p.name] = p.value
	}
	return s
}

// pairs is the keys of a mapping, each once, with their values; false when it
// is not a mapping.
func (v value) pairs() ([]named, bool) {
	n, ok := v.node.(*ast.MappingNode)
	if !ok {
		v.wrongType("must be a mapping: write key: value")
		return nil, false
	}
	seen := make(map[string]bool, len(n.Values))
	var pairs []named
	for _, p := range n.Values {
		key := value{r: v.r, path: v.path, node: p.Key}
		name := key.part()
		switch {
		case name == "":
		case seen[name]:
			key.fail("duplicate key: leave one of them out")
		default:
			seen[name] = true
			pairs = append(pairs, named{value{v.r, join(v.path, name), p.Key.GetToken(), p.Value}, name})
		}
	}
	return pairs, true
}

// join makes the path of a key, quoted where it could be mistaken for two.
func join(path, name string) string {
	if strings.ContainsAny(name, ". []:\"\\") || strings.ContainsFunc(name, func(c rune) bool { return c > '~' }) {
		name = fmt.Sprintf("%q", name)
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

// get is the value of a key; false when the section does not have it.
func (s section) get(name string) (value, bool) {
	v := s.entries[name]
	return v, v.node != nil
}

// need reports a key that is missing.
func (s section) need(name, remedy string) {
	if _, ok := s.get(name); !ok && s.entries != nil {
		s.r.fail(s.position(), join(s.path, name), "", "is missing: "+remedy)
	}
}

// text, part, word, duration and address set what they point at where the
// section has the key.

func (s section) text(name string, to *string) {
	if v, ok := s.get(name); ok {
		*to = v.text()
	}
}

func (s section) part(name string, to *string) {
	if v, ok := s.get(name); ok {
		*to = v.part()
	}
}

func (s section) word(name string, to *string, words ...string) {
	v, ok := s.get(name)
	if !ok {
		return
	}
	text := v.text()
	switch {
	case slices.Contains(words, text):
		*to = text
	case text != "":
		v.fail("this version has only " + strings.Join(words, ", "))
	}
}

func (s section) duration(name string, to *time.Duration, most time.Duration) {
	if v, ok := s.get(name); ok {
		*to = v.duration(most)
	}
}

func (s section) address(name string, to *string, anywhere bool) {
	v, ok := s.get(name)
	if !ok {
		return
	}
	*to = v.address()
	if *to != "" && !anywhere && !onLoopback(*to) {
		v.fail("beyond loopback only with tls: add tls, or listen on 127.0.0.1")
	}
}
