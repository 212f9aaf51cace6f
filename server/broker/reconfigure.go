package broker

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// upstreams are the APIs that there are. They are never changed, but replaced.
type upstreams struct {
	apis    map[string]API
	unknown func(name string) (API, bool)
}

// find is the upstream of a name, or a *quota.FieldError.
func (u *upstreams) find(name string) (API, error) {
	if api, ok := u.apis[name]; ok {
		return api, nil
	}
	if u.unknown != nil {
		if api, ok := u.unknown(name); ok {
			return api, nil
		}
	}
	return API{}, &quota.FieldError{Field: "scope.api", Value: name, Remedy: "no such API: " + u.configured()}
}

// configured names the APIs that there are, the first few of many.
func (u *upstreams) configured() string {
	const most = 10
	names := slices.Sorted(maps.Keys(u.apis))
	if len(names) == 0 {
		return "the broker's configuration has none"
	}
	text := "the broker's configuration has " + strings.Join(names[:min(len(names), most)], ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// checkAPIs reports an API that lacks what it needs.
func checkAPIs(apis map[string]API) error {
	for name, api := range apis {
		if api.Rules == nil || api.Dialect == nil {
			return &quota.FieldError{Field: "APIs." + name, Value: "", Remedy: "Rules and Dialect are required"}
		}
	}
	return nil
}

// api is the upstream of a name, or a *quota.FieldError.
func (b *Broker) api(name string) (API, error) { return b.upstreams.Load().find(name) }

// Reconfigure replaces the upstreams: apis and unknown are what [Config] calls APIs
// and Unknown, and must not be changed any more. What was counted stays: see
// [quota.Ledger.Adopt]. Whoever waits is decided anew, in the same order. Of an API
// that there is no more, every wait ends with a *quota.FieldError, and what was
// granted can still be reported and released. It returns a *quota.FieldError, and
// changes nothing, for an API that it cannot run with.
func (b *Broker) Reconfigure(apis map[string]API, unknown func(name string) (API, bool)) error {
	if err := checkAPIs(apis); err != nil {
		return err
	}
	b.reconfiguring.Lock()
	defer b.reconfiguring.Unlock()
	next := &upstreams{apis, unknown}
	// A shard that is added after this has the new upstreams, and one that was
	// added before is in the list.
	b.shards.mu.Lock()
	old := b.upstreams.Swap(next)
	list := b.shards.matchingLocked(quota.Scope{})
	b.shards.mu.Unlock()
	for _, s := range list {
		api, err := next.find(s.id.API)
		s.reconfigure(api, err)
	}
	b.scores.restart(b.clock.now(), old, next)
	return nil
}

// reconfigure gives the shard its upstream, or the error that there is none.
func (s *shard) reconfigure(api API, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return
	}
	now := s.nowLocked()
	s.refused = err
	if err == nil {
		s.adoptLocked(now, api)
	} else {
		for q := range s.queues.All {
			s.failAllLocked(now, q, err)
		}
	}
	s.stepLocked(now)
}

// adoptLocked follows a new configuration of the upstream.
func (s *shard) adoptLocked(now time.Time, api API) {
	old := s.api
	s.setAPILocked(api)
	if api.Shadow == old.Shadow && api.Rules.Equal(old.Rules) {
		return
	}
	waiting := s.queues.Begin(s.ledger)
	if s.ledger != nil {
		s.ledger.Adopt(now, api.Rules)
	}
	for _, p := range waiting {
		if p.Who.err = api.Rules.CheckScope(p.Scope); p.Who.err != nil {
			s.answerLocked(now, p.Who)
			continue
		}
		s.queues.Try(now, p)
	}
}

// setAPILocked is the only one to set what the shard knows of its upstream.
func (s *shard) setAPILocked(api API) {
	s.api, s.wants = api, api.Dialect.Wants()
	s.sendWithin, s.reportWithin = api.Rules.Deadlines()
	s.upstream.Store(&api)
}
