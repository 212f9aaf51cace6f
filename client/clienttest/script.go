package clienttest

import (
	"math"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/quotabroker/quotabroker/client"
	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
)

// Denial is what a refused acquire is told.
type Denial struct {
	// Reason is one of client's constants; empty means QUOTA_EXHAUSTED.
	Reason string
	// Bucket and Limit name what decides; empty means no bucket.
	Bucket, Limit string
	// RetryAfter is when to ask again; 0 means 1 s.
	RetryAfter time.Duration
}

// wait is when to ask again: never zero.
func (d *Denial) wait() time.Duration {
	if d.RetryAfter <= 0 {
		return time.Second
	}
	return d.RetryAfter
}

// rule refuses the calls of some scopes.
type rule struct {
	scope  *pb.Scope
	denial Denial
	// atOnce refuses a call that would wait, too.
	atOnce bool
	// until is when the rule ends; zero means by Grant only.
	until time.Time
}

// Deny refuses every call whose scope has the parts of s, at once, whatever it
// would wait, until Grant. Empty parts match everything.
func (b *Broker) Deny(s client.Scope, d Denial) {
	b.addRule(rule{scope: message(s), denial: d, atOnce: true})
}

// Hold makes every call whose scope has the parts of s wait until Grant; one
// whose wait is over before that is denied with DEADLINE_TOO_SHORT.
func (b *Broker) Hold(s client.Scope) {
	b.addRule(rule{scope: message(s), denial: Denial{Reason: client.DeadlineTooShort}})
}

// CoolDown does what a broker does when the upstream said wait: it revokes the
// permits that are out and have the parts of s, and grants no other of them for
// d.RetryAfter. A call that may wait for that long is granted then; any other is
// denied at once, with COOLING_DOWN unless d says otherwise.
func (b *Broker) CoolDown(s client.Scope, d Denial) {
	if d.Reason == "" {
		d.Reason = client.CoolingDown
	}
	b.addRule(rule{scope: message(s), denial: d, until: time.Now().Add(d.wait())})
	b.Revoke(s, d.Reason)
}

// Grant ends every Deny, Hold and CoolDown: those that wait are granted.
func (b *Broker) Grant() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rules = nil
	b.wakeLocked()
}

// Revoke takes back the permits that are out and whose scope has the parts of s.
func (b *Broker) Revoke(s client.Scope, reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.generation++
	r := &pb.Revocation{Scope: message(s), Generation: b.generation, Reason: reason}
	for w := range b.watchers {
		w.tellLocked(r)
	}
}

// GoAway makes every call fail with UNAVAILABLE, those that wait too, and ends
// every watch.
func (b *Broker) GoAway() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away = true
	b.wakeLocked()
}

// ComeBack ends GoAway. The broker knows the permits of before.
func (b *Broker) ComeBack() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away = false
	b.wakeLocked()
}

// LoseReplies makes the next n calls take effect and then fail with UNAVAILABLE,
// as when the connection breaks before the answer is through.
func (b *Broker) LoseReplies(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lose = n
}

// Advise makes r the answer to every further report of the given status.
func (b *Broker) Advise(status int, r client.Retry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.advice[status] = r
}

// Ask sets what further permits ask to be told: which bodies, and which headers
// by their names in lower case or prefixes that end in "*".
func (b *Broker) Ask(body pb.ReportBody, headers ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.template.ReportBody, b.template.ReportHeaders = body, headers
}

// SendWithin sets how soon further permits must be sent.
func (b *Broker) SendWithin(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.template.SendWithin = durationpb.New(d)
}

func (b *Broker) addRule(r rule) {
	if r.denial.Reason == "" {
		r.denial.Reason = client.QuotaExhausted
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rules = append(b.rules, r)
	b.wakeLocked()
}

// wakeLocked makes everyone who waits look again.
func (b *Broker) wakeLocked() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// ruleLocked is the rule that refuses a call now; nil when none does.
func (b *Broker) ruleLocked(s *pb.Scope, now time.Time) *rule {
	for i := range b.rules {
		r := &b.rules[i]
		if matches(r.scope, s) && (r.until.IsZero() || now.Before(r.until)) {
			return r
		}
	}
	return nil
}

// left is how long the rule still holds.
func (r *rule) left(now time.Time) time.Duration {
	if r.until.IsZero() {
		return math.MaxInt64
	}
	return r.until.Sub(now)
}

func message(s client.Scope) *pb.Scope {
	return &pb.Scope{Api: s.API, App: s.App, User: s.User, Endpoint: s.Endpoint, Labels: s.Labels}
}

// matches reports whether s has the parts of a pattern.
func matches(pattern, s *pb.Scope) bool {
	for name, value := range pattern.GetLabels() {
		if s.GetLabels()[name] != value {
			return false
		}
	}
	part := func(p, v string) bool { return p == "" || p == v }
	return part(pattern.GetApi(), s.GetApi()) && part(pattern.GetApp(), s.GetApp()) &&
		part(pattern.GetUser(), s.GetUser()) && part(pattern.GetEndpoint(), s.GetEndpoint())
}
