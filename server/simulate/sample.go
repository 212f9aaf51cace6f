package simulate

import (
	"cmp"
	"time"
)

// Sample is how things stood at an instant.
type Sample struct {
	At time.Time
	// Sent, Served and Refused are the run's so far.
	Sent, Served, Refused int64
	// Levels are the buckets that count the first call that the fleet could make:
	// one by the first service, for the first user, to the first endpoint. They are
	// in the order of the limits.
	Levels []Level
}

// Level is how a bucket stood at an instant.
type Level struct {
	// Limit is the limit's name, Key whose calls the bucket counts.
	Limit string
	Key   Call
	// Left is the units that were truly left. Believed is what the strategy
	// believed, if it is a [Believer] that holds a belief, which Known says.
	Left, Believed int64
	Known          bool
	// Counted is the fleet's calls that it had counted so far, Refused those that it
	// had no room for, or that were answered 429 in an outage.
	Counted, Refused int64
}

// sample adds one to the timeline.
func (r *run) sample() {
	s := Sample{At: r.time, Sent: r.sent, Served: r.served, Refused: r.refused}
	believer, _ := r.strategy.(Believer)
	first := r.sources[0].first()
	for _, b := range r.up.bucketsOf(r.now, first, nil) {
		l := Level{Limit: b.rule.Name, Key: b.key, Left: b.leftAt(r.now), Counted: b.calls, Refused: b.refusals}
		if believer != nil {
			l.Believed, l.Known = believer.Believes(r.time, &b.rule.Limit, first)
		}
		s.Levels = append(s.Levels, l)
	}
	r.timeline = append(r.timeline, s)
}

// first is the first call that a source could make.
func (s *source) first() Call {
	if a := s.service.Arrivals; len(a) > 0 {
		return Call{App: cmp.Or(a[0].App, s.who.app), User: a[0].User, Endpoint: a[0].Endpoint}
	}
	call := Call{App: s.who.app, User: s.service.User, Endpoint: s.service.Endpoint}
	if call.User == "" && len(s.who.users) > 0 {
		call.User = s.who.users[0]
	}
	if call.Endpoint == "" {
		call.Endpoint = s.who.endpoints[0]
	}
	return call
}
