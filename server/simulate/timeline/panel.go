package timeline

import (
	"fmt"
	"strings"
	"time"

	"github.com/quotabroker/quotabroker/server/simulate"
)

// panel shows one bucket in one run.
type panel struct {
	scenario *simulate.Scenario
	result   *simulate.Result
	limit    simulate.Limit
	key      simulate.Call
	// nth is the bucket's place in each sample.
	nth int
	top float64
	// most is the top of the levels' axis, bar how much time a bar stands for.
	most float64
	bar  time.Duration
	bars []bar
	// tallest is the top of the bars' axis.
	tallest float64
}

// bar is what happened in one slice of time.
type bar struct{ counted, refused int64 }

func newPanel(p *Picture, r *Run, nth int, top float64) *panel {
	first := r.Result.Timeline[0].Levels[nth]
	b := &panel{
		scenario: p.Scenario, result: r.Result, key: first.Key, nth: nth, top: top,
		bar: barOf(p.Scenario.Duration),
	}
	for _, l := range p.Scenario.Upstream.Limits {
		if l.Name == first.Limit {
			b.limit = l
		}
	}
	b.measure()
	return b
}

// measure finds how high the axes are, and gathers the samples of each bar.
func (p *panel) measure() {
	most := max(p.limit.Quota, p.limit.Window.Burst)
	for _, c := range p.scenario.Upstream.Changes {
		if c.Limit == p.limit.Name {
			most = max(most, c.Quota)
		}
	}
	p.most = float64(most) * 1.06
	samples := p.result.Timeline
	p.bars = make([]bar, (p.scenario.Duration+p.bar-1)/p.bar)
	tallest := int64(0)
	for i := 1; i < len(samples); i++ {
		was, is := samples[i-1].Levels[p.nth], samples[i].Levels[p.nth]
		// What happened since the last sample is of the bar that holds that one.
		b := &p.bars[min(int(samples[i-1].At.Sub(samples[0].At)/p.bar), len(p.bars)-1)]
		b.counted += is.Counted - was.Counted
		b.refused += is.Refused - was.Refused
		tallest = max(tallest, b.counted+b.refused)
	}
	p.tallest = float64(max(1, tallest))
}

// start is the run's, which is not the scenario's where seeds have their own.
func (p *panel) start() time.Time { return p.result.Timeline[0].At }

// x is the place of a time after the start, level that of a number of units.
func (p *panel) x(d time.Duration) float64 {
	return before + plot*min(1, max(0, float64(d)/float64(p.scenario.Duration)))
}

func (p *panel) level(units int64) float64 {
	return p.top + levelTop + levelHeight*(1-min(1, max(0, float64(units)/p.most)))
}

func (p *panel) draw(c *canvas) {
	p.heading(c)
	c.box("plot", before, p.top+levelTop, plot, levelHeight)
	c.box("plot", before, p.top+barsTop, plot, barsHeight)
	p.events(c)
	p.grid(c)
	p.turns(c)
	p.levels(c)
	p.drawBars(c)
	p.changes(c)
	p.axis(c)
}

func (p *panel) heading(c *canvas) {
	name, words := described(&p.limit, p.key)
	last := p.result.Timeline[len(p.result.Timeline)-1].Levels[p.nth]
	right := fmt.Sprintf("%s calls counted, %s refused", amount(last.Counted), amount(last.Refused))
	c.text("limit", fromHere, before, p.top+levelTop-10, name)
	from := before + wide(name)*1.3 + 12
	c.text("", fromHere, from, p.top+levelTop-10, fit(words, width-after-wide(right)-20-from))
	c.text("", upToHere, width-after, p.top+levelTop-10, right)
}

// grid has the heights that have numbers.
func (p *panel) grid(c *canvas) {
	apart := round(p.most / 4)
	for v := 0.0; v <= p.most; v += apart {
		y := p.level(int64(v))
		c.line("grid", before, y, width-after, y)
		c.text("small", upToHere, before-8, y+4, amount(int64(v)))
	}
	c.text("small", upToHere, before-8, p.top+levelTop-10, "left")
	bottom := p.top + barsBottom
	c.line("grid", before, bottom-barsHeight, width-after, bottom-barsHeight)
	c.text("small", upToHere, before-8, bottom-barsHeight+8, amount(int64(p.tallest)))
	c.text("small", upToHere, before-8, bottom-barsHeight/2+6, "calls")
	c.text("small", upToHere, before-8, bottom-barsHeight/2+20, "per "+span(p.bar))
	c.text("small", upToHere, before-8, p.top+markTop+markHeight-1, "429s")
}

// narrowest is how far apart windows must begin to be drawn each.
const narrowest = 4.0

// turns marks where the bucket's windows begin.
func (p *panel) turns(c *canvas) {
	if !turns(p.limit) {
		return
	}
	var d strings.Builder
	last := 0.0
	for i := range p.result.Windows {
		one := &p.result.Windows[i]
		if one.Limit != p.limit.Name || one.Key != p.key {
			continue
		}
		for _, at := range [2]time.Time{one.Began, one.Ends} {
			since := at.Sub(p.start())
			if x := p.x(since); since > 0 && since < p.scenario.Duration && x-last >= narrowest {
				fmt.Fprintf(&d, "M%s %sV%s", px(x), px(p.top+levelTop), px(p.top+barsBottom))
				last = x
			}
		}
	}
	c.path("turn", d.String())
}

// levels draws what was left, and what was believed to be.
func (p *panel) levels(c *canvas) {
	var left, believed pen
	for _, s := range p.result.Timeline {
		l, x := s.Levels[p.nth], p.x(s.At.Sub(p.start()))
		left.to(x, p.level(l.Left))
		if l.Known {
			believed.to(x, p.level(l.Believed))
		} else {
			believed.lift()
		}
	}
	line := left.end()
	floor := px(p.top + levelTop + levelHeight)
	c.path("left", line+"V"+floor+"H"+px(before)+"Z")
	c.path("leftline", line)
	c.path("believed", believed.end())
}

// drawBars draws what each slice of time had: below what was counted, above it the
// 429s, and a mark of each slice with any, which a low bar would not show.
func (p *panel) drawBars(c *canvas) {
	var counted, refused, marks strings.Builder
	rect := func(d *strings.Builder, x, y, w, h float64) {
		fmt.Fprintf(d, "M%s %sh%sv%sh%sz", px(x), px(y), px(w), px(h), px(-w))
	}
	for i, b := range p.bars {
		x, end := p.x(time.Duration(i)*p.bar), p.x(time.Duration(i+1)*p.bar)
		w := max(0.8, end-x-0.8)
		high, red := barsHeight*float64(b.counted)/p.tallest, barsHeight*float64(b.refused)/p.tallest
		if bottom := p.top + barsBottom; b.counted > 0 {
			rect(&counted, x, bottom-max(high, 0.8), w, max(high, 0.8))
		}
		if b.refused > 0 {
			rect(&refused, x, p.top+barsBottom-high-max(red, 0.8), w, max(red, 0.8))
			rect(&marks, x, p.top+markTop, max(w, 2), markHeight)
		}
	}
	c.path("counted", counted.String())
	c.path("refused", refused.String())
	c.path("refused", marks.String())
}

// events are the upstream's outages, behind everything.
func (p *panel) events(c *canvas) {
	for _, o := range p.scenario.Upstream.Outages {
		if from, to := p.x(o.From), p.x(o.From+o.For); to > from {
			c.box("out", from, p.top+levelTop, max(1, to-from), barsBottom-levelTop)
		}
	}
}

// changes are the limit's.
func (p *panel) changes(c *canvas) {
	for _, change := range p.scenario.Upstream.Changes {
		if change.Limit != p.limit.Name || change.At > p.scenario.Duration {
			continue
		}
		x, words := p.x(change.At), "from here "+amount(change.Quota)
		c.line("change", x, p.top+levelTop, x, p.top+barsBottom)
		side, at := fromHere, x+5
		if x+wide(words) > width-after {
			side, at = upToHere, x-5
		}
		c.text("note", side, at, p.top+levelTop+12, words)
	}
}

// axis is the time's.
func (p *panel) axis(c *canvas) {
	y := p.top + barsBottom
	c.line("axis", before, y, width-after, y)
	c.line("axis", before, p.top+levelTop, before, y)
	apart := step(p.scenario.Duration, 12)
	unit := unitOf(max(apart, min(time.Second, p.scenario.Duration)))
	for t := time.Duration(0); t <= p.scenario.Duration; t += apart {
		x := p.x(t)
		c.line("axis", x, y, x, y+4)
		words := in(t, unit.length)
		if t > 0 {
			words += " " + unit.name
		}
		c.text("small", around, min(x, width-wide(words)/2), p.top+labelsBottom, words)
	}
	c.text("small", around, before+plot/2, p.top+labelsBottom+16, "time since the run began")
}
