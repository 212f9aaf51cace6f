package dialect

import (
	"strings"
	"time"

	"github.com/dunglas/httpsfv"

	"github.com/quotabroker/quotabroker/server/quota"
)

// policy is a limit that a response declares: "name";q=100;w=60, or 100;w=60 in
// the drafts before 08.
type policy struct {
	name, partition, unit string
	quota                 int64
	window                quota.Window
	// told is true once an observation has it.
	told bool
}

// report is what a response says of a named policy: "name";r=50;t=30.
type report struct {
	name, partition string
	remaining       int64
	reset           quota.Reset
}

// parseItem parses one member of a structured list. A member is parsed on its
// own, so that one that is malformed does not spoil the others.
func parseItem(member string) (httpsfv.Item, bool) {
	it, err := httpsfv.UnmarshalItem([]string{member})
	if err != nil {
		it, err = httpsfv.UnmarshalItem([]string{padPartition(member)})
	}
	return it, err == nil
}

// padPartition completes the base64 of a partition key: not every server pads it.
func padPartition(member string) string {
	before, rest, ok := strings.Cut(member, "pk=:")
	key, after, closed := strings.Cut(rest, ":")
	if !ok || !closed {
		return member
	}
	key = strings.TrimRight(key, "=")
	return before + "pk=:" + key + strings.Repeat("=", (4-len(key)%4)%4) + ":" + after
}

// splitMembers splits a structured list at the commas that stand outside
// strings, into at most that many members; whole is false when there are more.
func splitMembers(s string, most int) (members []string, whole bool) {
	quoted, escaped, start := false, false, 0
	for i := range len(s) {
		switch c := s[i]; {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			if len(members) == most {
				return members, false
			}
			members = append(members, strings.TrimSpace(s[start:i]))
			start = i + 1
		}
	}
	if len(members) == most {
		return members, false
	}
	return append(members, strings.TrimSpace(s[start:])), true
}

// param is a parameter of the given type; ok is false when it has another.
func param[T any](it httpsfv.Item, key string) (v T, told, ok bool) {
	raw, told := it.Params.Get(key)
	if !told {
		return v, false, true
	}
	v, ok = raw.(T)
	return v, ok, ok
}

// policy reads a declared limit.
func (r *reader) policy(field string, it httpsfv.Item) (p policy, ok bool) {
	sound := true
	switch v := it.Value.(type) {
	case int64:
		p.quota = v
	case string:
		p.name = v
		p.quota, _, sound = param[int64](it, "q")
	}
	p.quota = min(p.quota, quota.MaxQuota)
	if p.quota <= 0 || !sound || !safeName(p.name) {
		r.ignore(field, "a policy without a proper name or quota")
		return p, false
	}
	unit, told, sound := param[string](it, "qu")
	if !sound || told && (unit == "" || !safeName(unit)) {
		r.ignore(field, "a policy whose qu is not the name of a unit")
		return p, false
	}
	if unit != quota.Requests {
		p.unit = unit
	}
	p.partition = partition(it)
	p.window, sound = window(it)
	if !sound {
		r.ignore(field, "a policy whose w is not a window")
	}
	return p, sound
}

// partition is the partition key; empty when there is none.
func partition(it httpsfv.Item) string {
	key, _, _ := param[[]byte](it, "pk")
	return string(key)
}

// window is the window of w= seconds, which the first drafts called window=.
func window(it httpsfv.Item) (_ quota.Window, ok bool) {
	w, told, ok := param[int64](it, "w")
	if ok && !told {
		w, told, ok = param[int64](it, "window")
	}
	if !told {
		return quota.Window{}, ok
	}
	if w <= 0 || w > int64(farthest/time.Second) {
		return quota.Window{}, false
	}
	return fixed(time.Duration(w) * time.Second), true
}

func fixed(period time.Duration) quota.Window {
	return quota.Window{Kind: quota.Fixed, Period: period}
}

// report reads what is left of a named policy. A reset that is only too far
// ahead does not spoil the rest.
func (r *reader) report(field string, it httpsfv.Item) (p report, ok bool) {
	name, named := it.Value.(string)
	left, told, _ := param[int64](it, "r")
	seconds, timed, sound := param[int64](it, "t")
	if !named || !safeName(name) || !told || !sound {
		r.ignore(field, "an item without a proper name, r or t")
		return p, false
	}
	p = report{name: name, partition: partition(it), remaining: min(max(left, 0), quota.MaxQuota)}
	if timed {
		reset, reason := r.clock.reset(inSeconds(seconds))
		p.reset = reset
		if reason != "" {
			r.ignore(field, reason)
		}
	}
	return p, true
}
