package quota

import (
	"slices"
	"strings"
)

// Parts says by which parts of a scope a limit is counted. The application is
// always one of them. The zero value counts by application alone. It is
// comparable.
type Parts struct {
	// User and Endpoint count each user and each endpoint apart.
	User, Endpoint bool

	// labels is the names of the labels that count, sorted, each followed by a
	// separator.
	labels string
}

// NewParts makes parts of their names: "app" must be one of them, "user" and
// "endpoint" may be, any other is the name of a label. It returns a *FieldError
// under the path "per" for a missing "app", a name that is given twice or is
// not a name, or more than [MaxLabels] labels.
func NewParts(names ...string) (Parts, error) {
	var p Parts
	var labels []string
	sorted := slices.Sorted(slices.Values(names))
	if len(slices.Compact(slices.Clone(sorted))) != len(sorted) {
		return p, &FieldError{"per", strings.Join(names, ", "), "name each part once"}
	}
	if !slices.Contains(names, "app") {
		return p, &FieldError{"per", strings.Join(names, ", "), "app is always one of the parts: add it"}
	}
	for _, name := range sorted {
		switch name {
		case "app":
		case "user":
			p.User = true
		case "endpoint":
			p.Endpoint = true
		case "", "api":
			return p, &FieldError{"per", name, "parts are app, user, endpoint and the API's labels"}
		default:
			if err := CheckPart("per", name); err != nil {
				return p, err
			}
			labels = append(labels, name)
		}
	}
	if len(labels) > MaxLabels {
		return p, &FieldError{"per", strings.Join(labels, ", "), "at most 4 labels"}
	}
	for _, name := range labels {
		p.labels += name + labelSep
	}
	return p, nil
}

// Names is the names of the parts: "app" first, then "user", "endpoint" and the
// labels.
func (p Parts) Names() []string {
	names := []string{"app"}
	if p.User {
		names = append(names, "user")
	}
	if p.Endpoint {
		names = append(names, "endpoint")
	}
	return append(names, p.Labels()...)
}

// Labels is the names of the labels that count, sorted.
func (p Parts) Labels() []string {
	if p.labels == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(p.labels, labelSep), labelSep)
}

// String is the names joined, such as "app+user".
func (p Parts) String() string { return strings.Join(p.Names(), "+") }

func (p Parts) hasLabel(name string) bool { return slices.Contains(p.Labels(), name) }

// holds reports whether a limit counted by these parts counts together all that one
// counted by the others does.
func (p Parts) holds(q Parts) bool {
	return (!p.User || q.User) && (!p.Endpoint || q.Endpoint) &&
		!slices.ContainsFunc(p.Labels(), func(name string) bool { return !q.hasLabel(name) })
}

// width orders parts from the narrowest to the widest: fewer parts hold more
// calls together.
func (p Parts) width() int {
	narrows := 0
	if p.labels != "" {
		narrows = strings.Count(p.labels, labelSep)
	}
	if p.User {
		narrows++
	}
	if p.Endpoint {
		narrows++
	}
	return -narrows
}

// Applies reports whether a limit counted by these parts counts the call at
// all: one counted by user does not count a call that is made for no user.
func (p Parts) Applies(s Scope) bool { return !p.User || s.User != "" }
