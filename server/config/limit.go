package config

import (
	"cmp"
	"slices"
	"strings"

	"github.com/quotabroker/quotabroker/server/quota"
)

func (v value) limits(labels []string) []quota.Limit {
	return distinct(v, func(item value) quota.Limit { return item.limit(labels) },
		func(l quota.Limit) string { return l.Name },
		func(item value, l quota.Limit) {
			item.r.fail(item.position(), item.path+".name", l.Name, "duplicate: each limit of an API needs its own name")
		})
}

func (v value) limit(labels []string) quota.Limit {
	s := v.section("name", "per", "quota", "unit", "window")
	var l quota.Limit
	s.need("name", "give it one, such as app-day")
	s.part("name", &l.Name)
	if p, ok := s.get("per"); ok {
		l.Per = p.per(labels)
	}
	if q, ok := s.get("quota"); ok {
		l.Quota, l.Provenance = q.quota()
	}
	s.part("unit", &l.Unit)
	if q, ok := s.get("quota"); ok && strings.HasSuffix(q.shown(), "%") {
		if l.Unit != "" && l.Unit != quota.Share {
			q.failf("a quota in percent has no other unit: leave the unit %s out", l.Unit)
		}
		l.Unit = quota.Share
	}
	if err := (quota.Costs{l.Counts(): 0}).Validate("unit"); err != nil {
		u, _ := s.get("unit")
		u.fail(remedyOf(err))
	}
	if w, ok := s.get("window"); ok {
		l.Window = w.window()
		if l.Window.Kind == quota.Refill && l.Provenance == quota.Nobody {
			w.fail("needs a quota: how many units come back in each period of the refill")
		}
	}
	return l
}

// per is the parts of a scope by which a limit counts.
func (v value) per(labels []string) quota.Parts {
	names := v.names()
	list := make([]string, len(names))
	for i, n := range names {
		if !slices.Contains([]string{"app", "user", "endpoint"}, n.name) && !slices.Contains(labels, n.name) {
			n.fail("unknown part: parts are app, user, endpoint and what the API's labels declare")
			return quota.Parts{}
		}
		list[i] = n.name
	}
	if len(list) == 0 {
		return quota.Parts{}
	}
	parts, err := quota.NewParts(list...)
	if err != nil {
		v.r.fail(v.position(), v.field(), strings.Join(list, ", "), remedyOf(err))
	}
	return parts
}

// quota is the units a window; 0 is to be learned.
func (v value) quota() (int64, quota.Provenance) {
	switch v.shown() {
	case "learn":
		return 0, quota.Nobody
	case "100%":
		return quota.WholeShare, quota.Configured
	}
	return v.whole(quota.MaxQuota, ", or learn, or 100%"), quota.Configured
}

// endpointKey is what the items of a list of endpoints are told apart by: the endpoint,
// and what is said of it; zero for one without an endpoint.
type endpointKey struct{ endpoint, of string }

func keyOfEndpoint(endpoint, of string) endpointKey {
	if endpoint == "" {
		return endpointKey{}
	}
	return endpointKey{endpoint, of}
}

func (v value) overrides(limits []quota.Limit) []quota.Override {
	return distinct(v, func(item value) quota.Override { return item.override(limits) },
		func(o quota.Override) endpointKey { return keyOfEndpoint(o.Endpoint, o.Limit) },
		func(item value, o quota.Override) {
			item.failf("duplicate: %q has a quota for %s already", o.Endpoint, o.Limit)
		})
}

func (v value) override(limits []quota.Limit) quota.Override {
	s := v.section("endpoint", "limit", "quota")
	var o quota.Override
	s.need("endpoint", `name it or a template, such as "GET /v2/people/{id}"`)
	s.need("limit", "name the limit whose quota is replaced")
	s.need("quota", "give the units a window for that endpoint")
	if e, ok := s.get("endpoint"); ok {
		o.Endpoint = e.template()
	}
	s.part("limit", &o.Limit)
	if l, ok := s.get("limit"); ok && o.Limit != "" {
		l.mustCountByEndpoint(o.Limit, limits)
	}
	if q, ok := s.get("quota"); ok {
		o.Quota = q.whole(quota.MaxQuota, "")
	}
	return o
}

// template is an endpoint in which only the last segment may be "*".
func (v value) template() string {
	text := v.part()
	segments := strings.Split(text, "/")
	if slices.Contains(segments[:len(segments)-1], "*") {
		v.fail("* stands for all that follow: it can only be the last segment, write {name} for one")
	}
	return text
}

// mustCountByEndpoint reports a limit that an override cannot replace.
func (v value) mustCountByEndpoint(name string, limits []quota.Limit) {
	var names []string
	for _, l := range limits {
		if l.Name == name {
			if !l.Per.Endpoint {
				v.fail("this limit counts all endpoints together: add endpoint to its per")
			}
			return
		}
		names = append(names, l.Name)
	}
	v.failf("no such limit: this API has %s", cmp.Or(strings.Join(names, ", "), "none"))
}
