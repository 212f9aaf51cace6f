package config

import (
	"slices"

	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/quota"
)

// Unlisted is the API for a name that APIs does not have: with the built-in
// dialect of that name, else with "auto". It is false where such are refused.
func (c *Config) Unlisted(name string) (API, bool) {
	if !c.AllowUnknown {
		return API{}, false
	}
	return newAPI(name), true
}

// newAPI is an API of which the file says nothing.
func newAPI(name string) API {
	a := API{Dialect: "auto", Rules: &quota.Rules{API: name}}
	if _, ok := dialect.Builtin(name); ok {
		a.Dialect = name
	}
	a.Rules.Limits = knownLimits(a.Dialect)
	return a
}

// knownLimits is what a dialect knows of its API.
func knownLimits(name string) []quota.Limit {
	d, ok := dialect.Builtin(name)
	if !ok {
		return nil
	}
	return slices.Clone(d.Limits())
}

func (v value) apis() map[string]API {
	apis := make(map[string]API)
	pairs, ok := v.pairs()
	for _, p := range pairs {
		apis[p.name] = p.api(p.name)
	}
	if ok && len(pairs) == 0 {
		v.fail("is empty: name an API, or leave the key out")
	}
	return apis
}

func (v value) api(name string) API {
	a := newAPI(name)
	s := v.section("dialect", "labels", "send_within", "report_within", "limits", "overrides", "costs", "free", "shadow", "proxy")
	rules := a.Rules
	s.word("dialect", &a.Dialect, dialect.Names()...)
	rules.Limits = knownLimits(a.Dialect)
	if l, ok := s.get("labels"); ok {
		rules.Labels = l.labels()
	}
	s.duration("send_within", &rules.SendWithin, longestWait)
	s.duration("report_within", &rules.ReportWithin, longestWait)
	s.checkWithin(rules)
	if l, ok := s.get("limits"); ok {
		rules.Limits = l.limits(rules.Labels)
	}
	if o, ok := s.get("overrides"); ok {
		rules.Overrides = o.overrides(rules.Limits)
	}
	if c, ok := s.get("costs"); ok {
		rules.Costs = c.costs(rules.Limits)
	}
	if f, ok := s.get("free"); ok {
		a.Free = f.statuses()
	}
	if v, ok := s.get("shadow"); ok {
		a.Shadow = v.truth()
	}
	if p, ok := s.get("proxy"); ok {
		a.Proxy = p.proxy()
	}
	return a
}

// checkWithin reports a permit that would be forgotten before it must be sent.
func (s section) checkWithin(r *quota.Rules) {
	send, report := r.SendWithin, r.ReportWithin
	if send == 0 {
		send = quota.DefaultSendWithin
	}
	if report == 0 {
		report = quota.DefaultReportWithin
	}
	if report >= send {
		return
	}
	v, ok := s.get("report_within")
	if !ok {
		v, ok = s.get("send_within")
	}
	if ok {
		v.failf("send_within is %v and report_within %v: a call is reported after it is sent", send, report)
	}
}

func (v value) labels() []string {
	var labels []string
	for _, n := range v.names() {
		if slices.Contains([]string{"api", "app", "user", "endpoint"}, n.name) {
			n.fail("every scope has this part: leave it out of labels")
			continue
		}
		labels = append(labels, n.name)
	}
	if len(labels) > quota.MaxLabels {
		v.failf("at most %d labels", quota.MaxLabels)
	}
	return labels
}
