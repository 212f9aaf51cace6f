package config

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/quotabroker/quotabroker/server/quota"
)

// Change is one difference between two configurations.
type Change struct {
	// Field is the path of the field from the top; limits are named there, not
	// numbered: "apis.linkedin.limits.app-day.quota".
	Field string
	// What says in words what is different: "100 → 90", "added", "removed",
	// "changed". It shows no secret.
	What string
	// Restart says that a process which runs has to be restarted for it.
	Restart bool
}

// String is field and what.
func (c Change) String() string { return c.Field + ": " + c.What }

// Changes is all in which a configuration differs from an earlier one, by field;
// nil when both say the same.
func Changes(from, to *Config) []Change {
	var d differ
	// What is not named here is read once, when a process starts.
	d.fields("", *from, *to, func(key string) (handled, restart bool) { return key == "apis", key != "allow_unknown" })
	d.apis(from.APIs, to.APIs)
	slices.SortFunc(d.changes, func(a, b Change) int { return cmp.Compare(a.Field, b.Field) })
	return d.changes
}

// differ gathers differences.
type differ struct{ changes []Change }

func (d *differ) add(field, what string) {
	d.changes = append(d.changes, Change{Field: field, What: what})
}

// differs adds a difference of two texts, if there is one.
func (d *differ) differs(field, from, to string) {
	if from != to {
		d.add(field, from+" → "+to)
	}
}

// fields compares the fields of two structs, so that a section which is added to
// the file is never forgotten here. Of each key it asks whether it is handled
// elsewhere, and whether it needs a restart.
func (d *differ) fields(path string, from, to any, about func(key string) (handled, restart bool)) {
	a, b := reflect.ValueOf(from), reflect.ValueOf(to)
	for i := range a.NumField() {
		key := keyOf(a.Type().Field(i).Name)
		handled, restart := about(key)
		if x, y := a.Field(i), b.Field(i); !handled && !reflect.DeepEqual(x.Interface(), y.Interface()) {
			d.changes = append(d.changes, Change{join(path, key), words(x, y), restart})
		}
	}
}

// keyOf is the key of a field: max_wait of MaxWait, http of HTTP.
func keyOf(field string) string {
	var key strings.Builder
	before := 'A'
	for _, c := range field {
		if unicode.IsUpper(c) && unicode.IsLower(before) {
			key.WriteByte('_')
		}
		key.WriteRune(unicode.ToLower(c))
		before = c
	}
	return key.String()
}

// words says how two values differ; what is more than one value is not shown.
func words(from, to reflect.Value) string {
	switch from.Kind() {
	case reflect.Bool, reflect.String, reflect.Int, reflect.Int64, reflect.Float64:
		return fmt.Sprintf("%v → %v", from, to)
	case reflect.Pointer, reflect.Map, reflect.Slice:
		if from.IsNil() {
			return "added"
		}
		if to.IsNil() {
			return "removed"
		}
	default:
	}
	return "changed"
}

func (d *differ) apis(from, to map[string]API) {
	for _, name := range slices.Sorted(maps.Keys(from)) {
		if _, ok := to[name]; !ok {
			d.add(join("apis", name), "removed")
		}
	}
	for name, api := range to {
		old, ok := from[name]
		if !ok {
			d.add(join("apis", name), fmt.Sprintf("added, with dialect %s and %d limits", api.Dialect, len(api.Rules.Limits)))
			continue
		}
		path := join("apis", name)
		d.fields(path, old, api, func(key string) (handled, restart bool) { return key == "rules", key == "proxy" })
		d.rules(path, old.Rules, api.Rules)
	}
}

func (d *differ) rules(path string, from, to *quota.Rules) {
	before := len(d.changes)
	d.differs(join(path, "labels"), fmt.Sprint(from.Labels), fmt.Sprint(to.Labels))
	send, report := from.Deadlines()
	newSend, newReport := to.Deadlines()
	d.differs(join(path, "send_within"), send.String(), newSend.String())
	d.differs(join(path, "report_within"), report.String(), newReport.String())
	d.limits(join(path, "limits"), from.Limits, to.Limits)
	endpoints(d, join(path, "overrides"), from.Overrides, to.Overrides, func(o quota.Override) (of, endpoint, number string) {
		return o.Limit, o.Endpoint, units(o.Quota)
	})
	endpoints(d, join(path, "costs"), from.Costs, to.Costs, func(c quota.EndpointCost) (of, endpoint, number string) {
		return c.Unit, c.Endpoint, fmt.Sprint(c.Cost)
	})
	if len(d.changes) == before && !from.Equal(to) {
		d.add(path, "changed in order") // of two overrides that fit as well, the first counts
	}
}

func (d *differ) limits(path string, from, to []quota.Limit) {
	named := func(limits []quota.Limit, name string) int {
		return slices.IndexFunc(limits, func(l quota.Limit) bool { return l.Name == name })
	}
	for i := range from {
		if named(to, from[i].Name) < 0 {
			d.add(join(path, from[i].Name), "removed")
		}
	}
	for i := range to {
		l, field := &to[i], join(path, to[i].Name)
		j := named(from, l.Name)
		if j < 0 {
			d.add(field, fmt.Sprintf("added: %s %s per %v, window %v", units(l.Quota), l.Counts(), l.Per, l.Window))
			continue
		}
		old := &from[j]
		d.differs(join(field, "quota"), units(old.Quota), units(l.Quota))
		d.differs(join(field, "unit"), old.Counts(), l.Counts())
		d.differs(join(field, "per"), old.Per.String(), l.Per.String())
		d.differs(join(field, "window"), old.Window.String(), l.Window.String())
	}
}

// units is a quota as the file writes it.
func units(n int64) string {
	if n == 0 {
		return "learn"
	}
	return fmt.Sprint(n)
}

// endpoints adds the differences of two lists of endpoints, each with a number of
// something.
func endpoints[T any](d *differ, path string, from, to []T, item func(T) (of, endpoint, number string)) {
	numbers := func(list []T) map[string]string {
		m := make(map[string]string, len(list))
		for _, t := range list {
			of, endpoint, number := item(t)
			m[join(join(path, of), endpoint)] = number
		}
		return m
	}
	d.texts(numbers(from), numbers(to))
}

// texts adds the differences of what two configurations say of the same fields.
func (d *differ) texts(from, to map[string]string) {
	for field := range from {
		if _, ok := to[field]; !ok {
			d.add(field, "removed")
		}
	}
	for field, text := range to {
		if was, ok := from[field]; ok {
			d.differs(field, was, text)
		} else {
			d.add(field, "added: "+text)
		}
	}
}
