package quota

import (
	"fmt"
	"slices"
	"strings"
)

// Whose refusals are that say nothing is found out from what else is refused and what
// is served meanwhile: see [Ledger.hold].

// holdNarrowest closes the group of calls of which one was refused without a word:
// the user's, or the endpoint's when it was for no user. One call at a time finds
// out whether all others are still served. Once several such groups are refused and
// nobody is served, it is the endpoint if they have that in common, else the
// application is closed as well.
func (l *Ledger) holdNarrowest(s *answerState, r refusal) {
	l.noteBare(s)
	what, narrow := "endpoint", l.whom(s, Parts{User: true}, Parts{Endpoint: true})
	if narrow.rule.Per.User {
		what = "user"
	}
	enough, known := 2, l.aloneAt != 0 && s.now.sub(l.aloneAt) < trusted
	if known {
		enough++
	}
	users, endpoints := l.hit()
	r.whose = "only this " + what + " hit"
	all := r
	all.until = min(r.until, s.now.add(maxBareWait))
	all.whose = fmt.Sprintf("%d %ss hit and nobody served", max(users, endpoints), what)
	switch app := l.gate(s.now, *s.scope, Parts{}); {
	case users >= enough && endpoints == 1 && l.bareOfMany:
		l.absolve()
		narrow, r = l.gate(s.now, *s.scope, Parts{Endpoint: true}), all
		r.whose = fmt.Sprintf("%d users hit, all here", users)
	case max(users, endpoints) >= enough && (users > 1 || s.scope.User == ""):
		l.shut(s.now, app, all)
	case !known && app.state == Open:
		app.probe(s.now, "one "+what+" hit: are others served?")
		l.wanting[app] = struct{}{}
		l.change(app)
	}
	l.holdGate(s, narrow, r)
}

// whom is the gate of the group that a refusal without a word may be of: of the first
// parts, unless only that of the second is closed already, or only the first has been
// served since it was refused.
func (l *Ledger) whom(s *answerState, first, second Parts) *Bucket {
	switch {
	case s.scope.User == "":
		return l.gate(s.now, *s.scope, Parts{Endpoint: true})
	case first.User && !l.bareOfMany:
		return l.gate(s.now, *s.scope, first)
	}
	one, other := l.find(nameBackoff, s.scope.Only(first)), l.find(nameBackoff, s.scope.Only(second))
	oneShut, otherShut := one.shutNow(), other.shutNow()
	cleared := oneShut == otherShut && one.clearNow(s.now) && !other.clearNow(s.now)
	if !cleared && (oneShut || !otherShut) {
		return l.gate(s.now, *s.scope, first)
	}
	if one.acquit(); cleared {
		one.cleared = false // the next is its own, unless another is served before
	}
	return l.gate(s.now, *s.scope, second)
}

// shutNow reports whether the gate, which may be none, is not open.
func (b *Bucket) shutNow() bool { return b != nil && b.state != Open }

// clearNow reports whether a call that the gate counts passed since another was
// refused, not long ago: of another endpoint, or another user. There may be no gate.
func (b *Bucket) clearNow(now instant) bool {
	return b != nil && b.closure != nil && b.cleared && now.sub(b.began) < trusted
}

// otherPart is what calls differ in that the gate counts together.
func (b *Bucket) otherPart(s *Scope) string {
	if b.rule.Per.User {
		return s.Endpoint
	}
	return s.User
}

// clear notes at a gate that a call passed.
func (b *Bucket) clear(s *answerState) {
	b.cleared = b.cleared || s.granted >= b.began && b.otherPart(s.scope) != b.refused
}

// holdGate closes a gate for a refusal that says nothing.
func (l *Ledger) holdGate(s *answerState, b *Bucket, r refusal) {
	l.refuse(s.now, b, r)
	b.refused, b.cleared = b.otherPart(s.scope), false
}

// acquit takes from a gate, which may be none, the rate to which it holds calls that
// were not refused on its account.
func (b *Bucket) acquit() {
	if b == nil {
		return
	}
	if d := b.doubts(); d != nil {
		d.governor = nil
		b.undoubt()
	}
}

// noteBare notes that the call was refused without a word.
func (l *Ledger) noteBare(s *answerState) {
	if len(l.bare) == 0 {
		l.bareSince, l.bareOfMany = s.now, l.calledElsewhere(s.scope.Endpoint)
	}
	call := s.scope.Only(Parts{User: true, Endpoint: true})
	if len(l.bare) < maxBare && !slices.Contains(l.bare, call) {
		l.bare = append(l.bare, call)
	}
}

// calledElsewhere reports whether calls to other endpoints were asked for of late.
func (l *Ledger) calledElsewhere(endpoint string) bool {
	for place := range l.plans {
		if other, _, _ := strings.Cut(place, labelSep); other != endpoint {
			return true
		}
	}
	return false
}

// hit counts the users and the endpoints of the calls that were refused so.
func (l *Ledger) hit() (users, endpoints int) {
	for i, c := range l.bare {
		before := l.bare[:i]
		if !slices.ContainsFunc(before, func(o Scope) bool { return o.User == c.User }) {
			users++
		}
		if !slices.ContainsFunc(before, func(o Scope) bool { return o.Endpoint == c.Endpoint }) {
			endpoints++
		}
	}
	return users, endpoints
}

// absolve opens the gates of the users of these calls: it was not on their account.
func (l *Ledger) absolve() {
	for _, c := range l.bare {
		b := l.find(nameBackoff, c.Only(Parts{User: true}))
		if c.User == "" || !b.shutNow() || b.began < l.bareSince {
			continue
		}
		b.cooldown.open()
		b.since, b.cleared, b.unwritten = 0, true, true
		b.acquit()
		l.uncool(b)
		l.wanting[b] = struct{}{}
		l.open(b)
		l.change(b)
	}
}

// passed notes a call that the upstream took: where it was granted after others
// were refused without a word, those were not refused on everyone's account.
func (l *Ledger) passed(s *answerState) {
	if len(l.bare) > 0 && s.granted >= l.bareSince {
		l.bare, l.aloneAt = nil, s.now
	}
}
