package ours

import (
	"bytes"
	"fmt"

	"github.com/quotabroker/quotabroker/server/config"
	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/simulate"
)

// api is what the broker calls the upstream of every scenario.
const api = "api"

// configured is what an operator has told the broker: the scenario's words, read
// as those of a broker's configuration file.
func configured(s *simulate.Scenario) (*quota.Rules, dialect.Dialect, error) {
	c := config.Default()
	if words := bytes.TrimSpace(s.Broker); len(words) > 0 {
		var err error
		if c, err = config.Parse("broker", fmt.Appendf(nil, "apis: {%s: %s}\n", api, words)); err != nil {
			return nil, nil, fmt.Errorf("scenario %s: %w", s.Name, err)
		}
	}
	a, ok := c.APIs[api]
	if !ok {
		a, _ = c.Unlisted(api)
	}
	d, ok := dialect.Builtin(a.Dialect)
	if !ok {
		return nil, nil, fmt.Errorf("scenario %s: broker: dialect %s: there is no such one built in", s.Name, a.Dialect)
	}
	return a.Rules, dialect.Free(d, a.Free...), nil
}
