package config

import (
	"slices"
	"strconv"

	"github.com/goccy/go-yaml/ast"

	"github.com/quotabroker/quotabroker/server/quota"
)

// costs is what calls take by endpoint, each endpoint and unit once.
func (v value) costs(limits []quota.Limit) []quota.EndpointCost {
	return distinct(v, func(item value) quota.EndpointCost { return item.cost(limits) },
		func(c quota.EndpointCost) endpointKey { return keyOfEndpoint(c.Endpoint, c.Unit) },
		func(item value, c quota.EndpointCost) {
			item.failf("duplicate: %q has a cost in %s already", c.Endpoint, c.Unit)
		})
}

func (v value) cost(limits []quota.Limit) quota.EndpointCost {
	s := v.section("endpoint", "unit", "cost")
	c := quota.EndpointCost{Unit: quota.Requests}
	s.need("endpoint", `name it or a template, such as "POST /v2/batch"`)
	s.need("cost", "give the units that one call takes")
	if e, ok := s.get("endpoint"); ok {
		c.Endpoint = e.template()
	}
	s.part("unit", &c.Unit)
	if u, ok := s.get("unit"); ok && len(limits) > 0 && c.Unit != "" {
		u.mustBeCounted(c.Unit, limits)
	}
	if n, ok := s.get("cost"); ok {
		c.Cost = n.units()
	}
	return c
}

// mustBeCounted reports a unit in which no limit counts.
func (v value) mustBeCounted(unit string, limits []quota.Limit) {
	if !slices.ContainsFunc(limits, func(l quota.Limit) bool { return l.Counts() == unit }) {
		v.fail("no limit of this API counts in this unit: add one with it, or correct the unit")
	}
}

// units is what a call takes: a whole number, of which 0 is one.
func (v value) units() int64 {
	if n, ok := v.node.(*ast.IntegerNode); ok && n.Token.Value == "0" {
		return 0
	}
	return v.whole(quota.MaxCost, ", or 0")
}

// statuses is a list of HTTP status codes, each once.
func (v value) statuses() []int {
	var codes []int
	for _, item := range v.list() {
		code, err := strconv.Atoi(item.shown())
		switch _, ok := item.node.(*ast.IntegerNode); {
		case !ok || err != nil || code < 100 || code > 599:
			item.wrongType("must be an HTTP status code, such as 304")
		case slices.Contains(codes, code):
			item.fail("is in the list already: leave one of them out")
		default:
			codes = append(codes, code)
		}
	}
	return codes
}
