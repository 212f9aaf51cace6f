package dialect

import (
	"strings"

	"github.com/dunglas/httpsfv"

	"github.com/quotabroker/quotabroker/server/quota"
)

// table is what the fields of one response say, before it is put together.
type table struct {
	*reader
	// parse reads a reset: seconds only, or whatever it may be.
	parse    func(string) (told, string)
	groups   []*group
	policies []policy
	reports  []report
}

// read makes observations of the fields of all spellings: first those that tell
// what is left, then the limits that are only declared.
func (r *reader) read(parse func(string) (told, string)) []quota.Observation {
	t := &table{reader: r, parse: parse}
	for _, f := range r.fields {
		switch {
		case f.name == "ratelimit-policy":
			t.policyField(f)
		case f.name == fieldScope, f.name == fieldGlobal: // of a refusal: see scope
		case strings.Contains(f.name, "rate"): // what else is wanted, all dialects read alike
			t.plainField(f)
		}
	}
	return t.observations()
}

// policyField reads RateLimit-Policy.
func (t *table) policyField(f field) {
	for _, member := range t.members(f) {
		it, ok := parseItem(member)
		if !ok {
			t.ignore(f.name, "malformed item")
			continue
		}
		t.addPolicy(f.name, it)
	}
}

func (t *table) addPolicy(field string, it httpsfv.Item) {
	if p, ok := t.policy(field, it); ok {
		t.policies = append(t.policies, p)
	}
}

// members is the members of a field's list, within bounds.
func (t *table) members(f field) []string {
	members, whole := splitMembers(f.value, maxParts-t.parsed)
	if !whole {
		t.ignore(f.name, "too many members")
	}
	t.parsed += len(members)
	return members
}

// plainField reads a field whose name says what it is.
func (t *table) plainField(f field) {
	s, ok := spell(f.name)
	if !ok {
		t.ignore(f.name, "no field that is known")
		return
	}
	switch g := t.group(s.family, s.group); s.word {
	case wordBare:
		t.bareField(g, f)
	case wordLimit:
		t.limitField(g, f)
	case wordRemaining:
		g.remaining = t.numbers(g.remaining, f)
	case wordUsed:
		g.used = t.numbers(g.used, f)
	case wordReset:
		t.resetField(g, f, t.parse)
	case wordResetAfter:
		t.resetField(g, f, parseSpan)
	case wordWindow:
		t.windowField(g, f)
	case wordName:
		if safeName(f.value) {
			g.name = f.value
		} else {
			t.ignore(f.name, "not a name")
		}
	}
}

// bareField reads a field that is named after the family alone: a plain limit,
// or one of the two grammars of RateLimit.
func (t *table) bareField(g *group, f field) {
	if f.value == "" || strings.IndexByte("+-0123456789", f.value[0]) >= 0 {
		t.limitField(g, f)
		return
	}
	for _, member := range t.members(f) {
		if strings.HasPrefix(member, `"`) {
			t.reportMember(f.name, member)
		} else {
			t.dictionaryMember(g, f.name, member)
		}
	}
}

// reportMember reads an item of the drafts since 08. Of two partitions of one
// policy the one with less left counts: which of them a call will meet is not
// known before it is made.
func (t *table) reportMember(field, member string) {
	it, ok := parseItem(member)
	if !ok {
		t.ignore(field, "malformed item")
		return
	}
	p, ok := t.report(field, it)
	if !ok {
		return
	}
	for i, q := range t.reports {
		if q.name == p.name {
			t.ignore(field, "another item of the same policy has less left")
			if p.remaining < q.remaining {
				t.reports[i] = p
			}
			return
		}
	}
	t.reports = append(t.reports, p)
}

// dictionaryMember reads limit=, remaining= or reset= of draft 07.
func (t *table) dictionaryMember(g *group, field, member string) {
	d, err := httpsfv.UnmarshalDictionary([]string{member})
	if err != nil || len(d.Names()) != 1 {
		t.ignore(field, "malformed item")
		return
	}
	key := d.Names()[0]
	v, _ := d.Get(key)
	it, _ := v.(httpsfv.Item)
	n, ok := it.Value.(int64)
	switch {
	case !ok:
		t.ignore(field, "not an integer")
	case key == "limit":
		g.limits = append(g.limits, wholeDecimal(n))
	case key == "remaining":
		g.remaining = append(g.remaining, wholeDecimal(n))
	case key == "reset":
		t.addReset(g, field, inSeconds(n))
	default:
		t.ignore(field, "no key that is known")
	}
}

// limitField reads a limit: a number, or one with policies behind it as in the
// drafts before 07: "100, 100;w=60, 5000;w=3600".
func (t *table) limitField(g *group, f field) {
	if !strings.Contains(f.value, ";") {
		g.limits = t.numbers(g.limits, f)
		return
	}
	for i, member := range t.members(f) {
		it, ok := parseItem(member)
		n, whole := it.Value.(int64)
		switch {
		case !ok || !whole:
			t.ignore(f.name, "malformed item")
		case i > 0:
			t.addPolicy(f.name, it)
		default:
			g.limits = append(g.limits, wholeDecimal(n))
			if w, ok := window(it); ok && w != (quota.Window{}) {
				g.window = w
			}
		}
	}
}

// numbers adds the numbers of a field; parameters are of no interest here.
func (t *table) numbers(list []decimal, f field) []decimal {
	for part := range strings.SplitSeq(f.value, ",") {
		if !t.spend(f.name) {
			break
		}
		number, _, _ := strings.Cut(part, ";")
		d, reason := parseDecimal(strings.TrimSpace(number))
		if reason != "" {
			t.ignore(f.name, reason)
			continue
		}
		list = append(list, d)
	}
	return list
}

// resetField adds the resets of a field.
func (t *table) resetField(g *group, f field, parse func(string) (told, string)) {
	for part := range splitTimes(f.value) {
		if !t.spend(f.name) {
			break
		}
		when, reason := parse(part)
		if reason != "" {
			t.ignore(f.name, reason)
			continue
		}
		t.addReset(g, f.name, when)
	}
}

func (t *table) addReset(g *group, field string, when told) {
	reset, reason := t.clock.reset(when)
	if reason != "" {
		t.ignore(field, reason)
		return
	}
	g.resets = append(g.resets, reset)
}

// windowField reads a window's length.
func (t *table) windowField(g *group, f field) {
	when, reason := parseSpan(f.value)
	if reason == "" && (when.after == 0 || when.after > farthest) {
		reason = "no plausible window"
	}
	if reason != "" {
		t.ignore(f.name, reason)
		return
	}
	g.window = fixed(when.after)
}
