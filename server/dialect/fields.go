package dialect

import (
	"strings"

	"github.com/quotabroker/quotabroker/server/quota"
)

// What one reading takes in and gives out at most. The rest is ignored.
const (
	maxFields       = 64
	maxValue        = 1024
	maxParts        = 128 // members of the lists of all fields together
	maxWaits        = 16
	maxName         = 64
	maxBody         = 4096
	maxIgnored      = 32
	maxObservations = 16
)

// field is a field that a dialect wants, its name in lower case and its value
// without space around it.
type field struct{ name, value string }

// reader is one reading in progress.
type reader struct {
	clock   clock
	cached  bool
	refused bool
	fields  []field
	ignored []Ignored
	// parsed counts the members of lists, to bound the time.
	parsed int
}

// newReader takes the wanted fields of a response.
func newReader(resp Response, wants Wants) *reader {
	r := &reader{fields: make([]field, 0, min(len(resp.Headers)+len(resp.Trailers), maxFields))}
	date := ""
	for _, list := range [...][]Field{resp.Headers, resp.Trailers} {
		for _, f := range list {
			name := strings.ToLower(f.Name)
			if wants.header(name) && !r.take(name, f.Value) {
				break
			}
			if name == "date" && date == "" && len(f.Value) <= maxValue {
				date = strings.TrimSpace(f.Value)
			}
		}
	}
	r.clock = newClock(date, resp.Received)
	r.cached, r.refused = r.fromCache(), resp.Status == statusTooManyRequests
	return r
}

// take keeps a field within bounds; it reports false when there are too many.
func (r *reader) take(name, value string) bool {
	switch {
	case len(r.fields) == maxFields:
		r.ignore(name, "too many fields")
		return false
	case !safeName(name):
		r.ignore(name, "too long, or no name")
	case len(value) > maxValue:
		r.ignore(name, "the value is too long")
	default:
		r.fields = append(r.fields, field{name, strings.TrimSpace(value)})
	}
	return true
}

// ignore notes that a field was not understood. Names come from outside, so
// they are cut and stripped of what does not print.
func (r *reader) ignore(name, reason string) {
	if len(r.ignored) == maxIgnored {
		return
	}
	name = strings.Map(func(c rune) rune {
		if c <= ' ' || c > '~' {
			return '?'
		}
		return c
	}, name[:min(len(name), maxName)])
	r.ignored = append(r.ignored, Ignored{Name: name, Reason: reason})
}

// spend reports whether one more member of a list may be parsed.
func (r *reader) spend(name string) bool {
	if r.parsed == maxParts {
		r.ignore(name, "too many members")
		return false
	}
	r.parsed++
	return true
}

// values yields the values of the named field.
func (r *reader) values(name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, f := range r.fields {
			if f.name == name && !yield(f.value) {
				return
			}
		}
	}
}

// header reports whether a name in lower case is wanted.
func (w Wants) header(name string) bool {
	for _, want := range w.Headers {
		prefix, wild := strings.CutSuffix(want, "*")
		if name == want || wild && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// safeName reports whether a name of the response's can be one of ours: of a
// field, a limit or a unit.
func safeName(name string) bool {
	return len(name) <= maxName && quota.CheckPart("", name) == nil
}
