package strategy

import (
	"cmp"
	"slices"
	"time"

	"github.com/quotabroker/quotabroker/server/simulate"
	"github.com/quotabroker/quotabroker/server/simulate/agenda"
)

// clairvoyant knows what no strategy can: how long each call will be on its way,
// and what will be left when it arrives. It sends each so that it arrives the
// moment there is room for it, first come first served, and is never refused: no
// strategy can have more served. It stands at the upstream's door to do so, which
// is the same as having sent later.
type clairvoyant struct {
	env   simulate.Env
	doors map[doorKey]*door
	opens agenda.Agenda[*door]
	// outages are those to come, and now.
	outages []simulate.Outage
}

// doorKey is one key of one limit; without a limit it is the upstream as a whole.
type doorKey struct {
	limit string
	key   simulate.Call
}

// door is where those stand for whom a bucket has no room.
type door struct {
	doorKey
	line []*simulate.Job
}

func newClairvoyant(env simulate.Env) (simulate.Strategy, error) {
	c := &clairvoyant{env: env, doors: map[doorKey]*door{}, outages: env.Scenario.Upstream.Outages}
	for _, change := range env.Scenario.Upstream.Changes {
		// There may be room at once; nil is every door.
		c.opens.Add(env.Scenario.Start.Add(change.At), nil)
	}
	return c, nil
}

// Want sends: whether the call may arrive is decided when it does.
func (c *clairvoyant) Want(_ time.Time, j *simulate.Job) { c.env.Send(j) }

// Heard sends again what was refused: by nobody's foresight but another's who came
// at the same moment.
func (c *clairvoyant) Heard(_ time.Time, j *simulate.Job, r simulate.Reply) {
	if refused(r) {
		c.env.Send(j)
	}
}

// Dropped is nothing to it: the quota was never touched.
func (c *clairvoyant) Dropped(time.Time, *simulate.Job) {}

// Admit lets a call arrive for which there is room.
func (c *clairvoyant) Admit(now time.Time, j *simulate.Job) bool {
	d, opens := c.shut(now, j, nil)
	if d == nil {
		return true
	}
	c.stand(d, j, opens)
	return false
}

// Advance lets those enter for whom there is room now.
func (c *clairvoyant) Advance(now time.Time) {
	for d, due := c.opens.Take(now); due; d, due = c.opens.Take(now) {
		if d != nil {
			c.serve(now, d)
			continue
		}
		for _, limit := range c.env.Scenario.Upstream.Limits {
			c.serveAll(now, limit.Name)
		}
	}
}

// Wake is when the next door opens.
func (c *clairvoyant) Wake(time.Time) time.Time { return c.opens.Next() }

// shut is the first door that is shut to the job, and when it opens; nil when it
// may enter. At the door whose line it heads nobody is before it.
func (c *clairvoyant) shut(now time.Time, j *simulate.Job, head *door) (d *door, opens time.Time) {
	if ends := c.outage(now); ends.After(now) {
		return c.door(doorKey{}), ends
	}
	cost := c.env.Cost(j)
	for _, room := range c.env.Rooms(j.Call, now) {
		if d := c.door(doorKey{room.Limit, room.Key}); room.Left < c.cost(room.Limit, j.Call, cost) || d != head && len(d.line) > 0 {
			return d, room.Until
		}
	}
	return nil, time.Time{}
}

// cost is what a call that truly costs so much takes of a limit.
func (c *clairvoyant) cost(limit string, call simulate.Call, truth int64) int64 {
	for i := range c.env.Scenario.Upstream.Limits {
		if l := &c.env.Scenario.Upstream.Limits[i]; l.Name == limit && truth > 0 {
			return l.Takes(call, truth)
		}
	}
	return truth
}

// outage is when the present outage ends; now or before without one.
func (c *clairvoyant) outage(now time.Time) (ends time.Time) {
	for _, o := range c.outages {
		began := c.env.Scenario.Start.Add(o.From)
		if end := began.Add(o.For); !now.Before(began) && end.After(ends) {
			ends = end
		}
	}
	return ends
}

func (c *clairvoyant) door(k doorKey) *door {
	if c.doors[k] == nil {
		c.doors[k] = &door{doorKey: k}
	}
	return c.doors[k]
}

// stand has a job stand at a door.
func (c *clairvoyant) stand(d *door, j *simulate.Job, opens time.Time) {
	d.line = append(d.line, j)
	if len(d.line) == 1 {
		c.opens.Add(opens, d)
	}
}

// serve lets one after the other enter, until the door is shut.
func (c *clairvoyant) serve(now time.Time, d *door) {
	for len(d.line) > 0 {
		j := d.line[0]
		if overdue(now, j) {
			d.line = d.line[1:]
			continue
		}
		shut, opens := c.shut(now, j, d)
		if shut == d {
			c.opens.Add(later(now, opens), d)
			return
		}
		d.line = d.line[1:]
		if shut == nil {
			c.env.Enter(j)
		} else {
			c.stand(shut, j, opens)
		}
	}
}

// serveAll serves every door of a limit, in the order of their first ones.
func (c *clairvoyant) serveAll(now time.Time, limit string) {
	var doors []*door
	for k, d := range c.doors {
		if k.limit == limit && len(d.line) > 0 {
			doors = append(doors, d)
		}
	}
	slices.SortFunc(doors, func(d, e *door) int { return cmp.Compare(d.line[0].ID, e.line[0].ID) })
	for _, d := range doors {
		c.serve(now, d)
	}
}

// later is an instant after now: a door that has opened by a part of a unit only
// is tried again in a moment.
func later(now, opens time.Time) time.Time {
	if opens.After(now) {
		return opens
	}
	return now.Add(time.Millisecond)
}
