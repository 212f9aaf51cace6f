package config_test

import (
	"slices"
	"testing"

	"github.com/quotabroker/quotabroker/server/config"
	"github.com/quotabroker/quotabroker/server/quota"
)

func TestCosts(t *testing.T) {
	c := load(t, "working_costs.yaml")
	mine, graph := c.APIs["mine"], c.APIs["graph"]
	want := []quota.EndpointCost{
		{Endpoint: "POST /graphql", Unit: "points", Cost: 10},
		{Endpoint: "POST /batch/{id}", Unit: quota.Requests, Cost: 5},
		{Endpoint: "GET /health", Unit: quota.Requests, Cost: 0},
	}
	if !slices.Equal(mine.Rules.Costs, want) || !slices.Equal(mine.Free, []int{304}) || graph.Free != nil {
		t.Errorf("got %+v, free %v", mine.Rules.Costs, mine.Free)
	}
	if l := graph.Rules.Limits[0]; graph.Dialect != "meta" || l.Unit != quota.Share || l.Quota != quota.WholeShare {
		t.Errorf("percent: got %+v", l)
	}
}

func TestCostChanges(t *testing.T) {
	const before = `apis: {mine: {limits: [{name: a, quota: 5}], costs: [{endpoint: GET /a, cost: 1}, {endpoint: GET /b, cost: 2}]}}`
	const after = `apis: {mine: {limits: [{name: a, quota: 5}], costs: [{endpoint: GET /a, cost: 3}, {endpoint: GET /c, cost: 0}], free: [304]}}`
	var got []string
	for _, c := range config.Changes(parsed(t, before), parsed(t, after)) {
		got = append(got, c.String())
	}
	want := []string{
		`apis.mine.costs.requests."GET /a": 1 → 3`,
		`apis.mine.costs.requests."GET /b": removed`,
		`apis.mine.costs.requests."GET /c": added: 0`,
		`apis.mine.free: added`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}
