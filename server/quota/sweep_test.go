package quota

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// heft is how much a ledger keeps: every thing that a pointer leads to, and every
// entry of a map or slice, with what lies behind the end of one.
func heft(l *Ledger) int {
	w := walker{seen: map[uintptr]bool{}}
	w.walk(reflect.ValueOf(l))
	return w.things
}

type walker struct {
	things int
	seen   map[uintptr]bool
}

func (w *walker) walk(v reflect.Value) {
	switch v.Kind() { //nolint:exhaustive // nothing else holds anything
	case reflect.Pointer:
		if !v.IsNil() && !w.seen[v.Pointer()] {
			w.seen[v.Pointer()] = true
			w.things++
			w.walk(v.Elem())
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			w.walk(field)
		}
	case reflect.Map:
		w.things += v.Len()
		for i := v.MapRange(); i.Next(); {
			w.walk(i.Key())
			w.walk(i.Value())
		}
	case reflect.Slice:
		v = v.Slice(0, v.Cap())
		w.things += v.Len()
		fallthrough
	case reflect.Array:
		switch v.Type().Elem().Kind() { //nolint:exhaustive // nothing else holds anything
		case reflect.Pointer, reflect.Struct, reflect.Map, reflect.Slice, reflect.Interface, reflect.Array:
			for i := range v.Len() {
				w.walk(v.Index(i))
			}
		}
	case reflect.Interface:
		if !v.IsNil() {
			w.walk(v.Elem())
		}
	}
}

// fates are what can become of the only call of a user.
func fates() map[string]func(l *Ledger, now time.Time, p *Permit) {
	answered := func(a func(p *Permit) Answer) func(*Ledger, time.Time, *Permit) {
		return func(l *Ledger, now time.Time, p *Permit) { l.Settle(now, p, a(p)) }
	}
	is := func(a Answer) func(*Ledger, time.Time, *Permit) { return answered(func(*Permit) Answer { return a }) }
	named := func(limit string, a Answer) Answer {
		a.Observations[0].Limit = limit
		return a
	}
	return map[string]func(l *Ledger, now time.Time, p *Permit){
		"silent":                    is(Answer{}),
		"told":                      is(named("it", numbersReset(50, 49, time.Hour))),
		"told no reset":             is(named("it", numbers(50, 49))),
		"told of whom nobody says":  is(numbersReset(50, 49, time.Hour)),
		"another quota each":        answered(func(p *Permit) Answer { return numbersReset(p.granted.time().Unix()%MaxQuota, 3, time.Hour) }),
		"another name each":         answered(func(p *Permit) Answer { return named(fmt.Sprint(p.granted), numbersReset(50, 49, time.Hour)) }),
		"refused":                   is(refused(Answer{})),
		"refused for an hour":       is(refused(wait(time.Hour))),
		"refused for a month":       is(refused(wait(31 * 24 * time.Hour))),
		"refused by name":           is(named("it", refused(numbersReset(50, 0, time.Hour)))),
		"refused by name, no reset": is(named("it", refused(numbers(0, 0)))),
		"overloaded":                is(Answer{Verdict: Overloaded}),
		"unanswered":                is(Answer{Unanswered: true}),
		"lapsed":                    func(*Ledger, time.Time, *Permit) {},
		"released":                  func(l *Ledger, now time.Time, p *Permit) { l.Release(now, p) },
	}
}

// layouts are limits of which every user, or endpoint, has buckets.
func layouts() map[string][]Limit {
	per := func(w Window, quota int64, p Parts) []Limit {
		limit := Limit{Name: "it", Quota: quota, Window: w, Per: p, Provenance: Configured}
		if quota == 0 {
			limit.Provenance = Nobody
		}
		return []Limit{limit}
	}
	user, endpoint := Parts{User: true}, Parts{Endpoint: true}
	return map[string][]Limit{
		"none":           nil,
		"a day":          per(Window{Kind: Calendar, Unit: Day}, 100, user),
		"a day, learned": per(Window{Kind: Calendar, Unit: Day}, 0, user),
		"learned":        per(Window{Kind: Fixed, Period: time.Hour}, 0, Parts{User: true, Endpoint: true}),
		"an hour":        per(Window{Kind: Fixed, Period: time.Hour}, 100, endpoint),
		"first use":      per(Window{Kind: Fixed, Period: time.Hour, FirstUse: true}, 100, user),
		"unstated":       per(Window{}, 100, user),
		"nothing known":  per(Window{}, 0, user),
		"slides":         per(Window{Kind: Sliding, Period: time.Hour}, 100, user),
		"counter":        per(Window{Kind: Sliding, Period: time.Hour, Counter: true}, 100, user),
		"refills":        per(Window{Kind: Refill, Period: time.Second, Burst: 40}, 2, user),
		"concurrent":     per(Window{Kind: Concurrent}, 3, user),
	}
}

// mostKept is how much is kept of any number of users who never call again: that is how
// much so few buckets are, and what explains them.
const mostKept = 20 * few

// Whatever became of the only call of very many users, a month or two later nothing of
// them is kept.
func TestWhoNeverCallsAgainIsForgotten(t *testing.T) {
	users := 2 * few
	if testing.Short() {
		users = few + few/4
	}
	for layout, limits := range layouts() {
		for fate, end := range fates() {
			t.Run(layout+"/"+fate, func(t *testing.T) {
				l := NewLedger(&Rules{API: "api", Limits: limits}, 1)
				denied := comeAndGo(l, users, func(int) func(*Ledger, time.Time, *Permit) { return end })
				if denied*2 > users && limits != nil { // else all have their bucket in common
					t.Fatalf("%d of %d denied", denied, users)
				}
				checkForgotten(t, l)
			})
		}
	}
}

// The same of a hundred thousand users at once, of every fate that is only theirs.
func TestHundredThousandUsersAreForgotten(t *testing.T) {
	long(t)
	const users = 100_000
	var ends []func(*Ledger, time.Time, *Permit)
	for _, name := range []string{"silent", "told", "refused", "refused for an hour", "overloaded", "unanswered", "lapsed", "released"} {
		ends = append(ends, fates()[name])
	}
	for layout, limits := range layouts() {
		t.Run(layout, func(t *testing.T) {
			l := NewLedger(&Rules{API: "api", Limits: limits}, 1)
			denied := comeAndGo(l, users, func(i int) func(*Ledger, time.Time, *Permit) { return ends[i%len(ends)] })
			if denied*4 > users && limits != nil {
				t.Errorf("%d denied", denied)
			}
			checkForgotten(t, l)
		})
	}
}

// comeAndGo lets so many users make a call each within a month, of an endpoint of their
// own, and then nobody for longer than anything is kept. It returns how many were denied.
func comeAndGo(l *Ledger, users int, fate func(i int) func(*Ledger, time.Time, *Permit)) (denied int) {
	now := epoch
	for i := range users {
		now = now.Add(30 * 24 * time.Hour / time.Duration(users))
		d := attempt(l, now, Scope{API: "api", App: "app", User: fmt.Sprint("u", i), Endpoint: fmt.Sprint("e", i)})
		if !d.Allowed() {
			denied++
			continue
		}
		fate(i)(l, now, d.Permit)
		pass(l, now)
	}
	for range 2 * ageUnlearned {
		now = now.Add(24 * time.Hour)
		pass(l, now)
	}
	return denied
}

func checkForgotten(t *testing.T, l *Ledger) {
	t.Helper()
	got := heft(l)
	if t.Logf("%d things, %d buckets of %d limits", got, l.size, len(l.families)); got > mostKept || l.size > few {
		t.Errorf("%d things are kept, and %d buckets; want at most %d and %d", got, l.size, mostKept, few)
	}
}

// What is still needed is kept: as long as a window or a cool-down is open, and what is
// known of either a day longer; what its own count taught a user's bucket, five weeks from
// its last call.
func TestWhatIsNeededIsKept(t *testing.T) {
	for name, c := range map[string]struct {
		layout, fate string
		// keptFor and goneAfter are in days since the call.
		keptFor, goneAfter int
	}{
		"a window of a day":             {"a day", "silent", 0, 2},
		"a window nobody knows the end": {"unstated", "told no reset", 32, 37},
		"a quota that was told":         {"nothing known", "told", 0, 3},
		"a quota that was learned":      {"a day, learned", "learned", 34, 38},
		"a cool-down of a month":        {"a day", "refused for a month", 31, 33},
		"a cool-down and a probe due":   {"a day", "refused", 1, 3},
	} {
		t.Run(name, func(t *testing.T) {
			l := NewLedger(&Rules{API: "api", Limits: layouts()[c.layout]}, 1)
			pass(l, epoch.Add(-48*time.Hour))
			attempt(l, epoch.Add(-48*time.Hour), userScope("watched"))
			now, s := epoch, userScope("it")
			d := attempt(l, now, s)
			if c.fate == "learned" {
				l.Settle(now, d.Permit, Answer{})
				d = attempt(l, now, s)
				l.Settle(now, d.Permit, spent(true))
			} else {
				fates()[c.fate](l, now, d.Permit)
			}
			key := s.Only(Parts{User: true})
			for day := range c.goneAfter + 1 {
				for i := range 3 * few { // so many that somebody must go
					l.Check(now, Request{Scope: userScope(fmt.Sprint(day, i))})
				}
				pass(l, now)
				kept := l.find("it", key) != nil
				if strings.HasPrefix(c.fate, "refused") {
					kept = l.find(nameBackoff, key) != nil
				}
				if day <= c.keptFor && !kept || day == c.goneAfter && kept {
					t.Fatalf("kept after %d days: %v", day, kept)
				}
				now = now.Add(24 * time.Hour)
			}
		})
	}
}

// Who is refused until tomorrow costs nobody else anything meanwhile, and is served then.
func TestManyCoolDowns(t *testing.T) {
	l := NewLedger(&Rules{API: "api"}, 1)
	now := epoch
	for i := range 100 {
		now = now.Add(time.Second)
		if d := attempt(l, now, userScope(fmt.Sprint("u", i))); d.Allowed() {
			l.Settle(now, d.Permit, Answer{})
		}
		if d := attempt(l, now, userScope(fmt.Sprint("u", i))); d.Allowed() {
			l.Settle(now, d.Permit, wait(time.Duration(200-i)*time.Minute))
		}
		pass(l, now)
	}
	if len(l.cooling) < 50 {
		t.Fatalf("%d cool down", len(l.cooling))
	}
	for len(l.cooling) > 0 {
		first := at(l.Wake(now))
		for _, c := range l.cooling {
			if c.bucket.state == Cooling && c.bucket.until < first || c.until != c.bucket.until {
				t.Fatalf("wakes at %v, and %v cools down until %v", first.time(), c.bucket.Key(), c.bucket.until.time())
			}
		}
		now = first.time()
		pass(l, now)
	}
	for b := range l.all {
		if b.state == Cooling || b.closure != nil && b.nth != 0 {
			t.Errorf("%v: %v", b.Key(), b.state)
		}
	}
}

// attempt asks for a call, of a store that confirms at once.
func attempt(l *Ledger, now time.Time, s Scope) (d Decision) {
	for range 4 {
		if d = l.Take(now, Request{Scope: s}); d.Reason != Reserving {
			return d
		}
		l.Reserved(now, l.Wanted(now))
	}
	return d
}

// sweepAll does what time does, with all of a sweep.
func sweepAll(l *Ledger, now time.Time) {
	for l.Advance(now); len(l.sweeping.left) > 0; l.Advance(now) {
		if wake := l.Wake(now); wake.After(now) {
			panic("the sweep is left where it is")
		}
	}
}

// pass does what a broker does after each step.
func pass(l *Ledger, now time.Time) {
	sweepAll(l, now)
	l.Reserved(now, l.Wanted(now))
	l.Opened()
	l.Changed()
	l.Revoked()
}
