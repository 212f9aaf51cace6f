package timeline

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quotabroker/quotabroker/server/simulate"
)

// The layout, in pixels.
const (
	width  = 1240.0
	before = 72.0 // what stands left of a plot
	after  = 24.0
	plot   = width - before - after

	headHeight   = 136.0
	runHeight    = 34.0
	panelHeight  = 304.0
	footHeight   = 16.0
	levelTop     = 30.0 // below the panel's top
	levelHeight  = 130.0
	markTop      = levelTop + levelHeight + 9
	markHeight   = 10.0
	barsTop      = markTop + markHeight + 8
	barsHeight   = 58.0
	barsBottom   = barsTop + barsHeight
	labelsBottom = barsBottom + 17
)

// svg draws the picture from top to bottom.
func (p *Picture) svg() string {
	height := headHeight + footHeight
	for _, r := range p.Runs {
		height += runHeight + panelHeight*float64(max(1, len(r.levels())))
	}
	c := &canvas{}
	c.begin(width, height)
	p.head(c)
	y := headHeight
	for i := range p.Runs {
		y = p.run(c, &p.Runs[i], y)
	}
	c.end()
	return c.out.String()
}

// levels is how the buckets stood first: one for each that is drawn.
func (r *Run) levels() []simulate.Level {
	if len(r.Result.Timeline) == 0 {
		return nil
	}
	return r.Result.Timeline[0].Levels
}

// head says what is shown, and explains the signs.
func (p *Picture) head(c *canvas) {
	s := p.Scenario
	name := s.Name
	if s.Variant != "" {
		name += " — " + s.Variant
	}
	c.title(name)
	c.text("title", fromHere, before, 34, fit(name, plot*0.58)) // a title's letters are larger
	about := fmt.Sprintf("%s from %s", span(s.Duration), s.Start.UTC().Format("2006-01-02 15:04:05 UTC"))
	if len(p.Runs) > 0 {
		about = fmt.Sprintf("seed %d; %s", p.Runs[0].Result.Seed, about)
	}
	c.text("small", upToHere, width-after, 34, about)
	for i, line := range wrap(s.About, plot, 2) {
		c.text("", fromHere, before, 56+17*float64(i), line)
	}
	p.legend(c, 101)
}

// legend explains the signs that the picture has.
func (p *Picture) legend(c *canvas, y float64) {
	x := before
	entry := func(drawn bool, words string, sign func(x, y float64)) {
		if drawn {
			sign(x, y-4)
			c.text("", fromHere, x+28, y, words)
			x += 28 + wide(words) + 18
		}
	}
	line := func(class string) func(x, y float64) {
		return func(x, y float64) { c.line(class, x, y, x+22, y) }
	}
	upright := func(class string) func(x, y float64) {
		return func(x, y float64) { c.line(class, x+11, y-7, x+11, y+7) }
	}
	block := func(class string) func(x, y float64) {
		return func(x, y float64) { c.box(class, x+6, y-6, 12, 12) }
	}
	entry(true, "truly left", func(x, y float64) {
		c.box("left", x, y, 22, 6)
		c.line("leftline", x, y, x+22, y)
	})
	entry(p.believes(), "the model believes is left", line("believed"))
	entry(true, "calls counted", block("counted"))
	entry(true, "calls refused (429)", block("refused"))
	entry(slices.ContainsFunc(p.Scenario.Upstream.Limits, turns), "a window begins", upright("turn"))
	entry(len(p.Scenario.Upstream.Changes) > 0, "the limit changes", upright("change"))
	entry(len(p.Scenario.Upstream.Outages) > 0, "outage", block("out"))
}

// turns reports whether a limit has windows of its own. The slices of one that has
// none are the judge's alone.
func turns(l simulate.Limit) bool {
	return l.Window.Fixed > 0 || l.Window.Calendar != "" || l.Window.Counter > 0
}

// believes reports whether any run has a belief to show.
func (p *Picture) believes() bool {
	for _, r := range p.Runs {
		for _, s := range r.Result.Timeline {
			for _, l := range s.Levels {
				if l.Known {
					return true
				}
			}
		}
	}
	return false
}

// run draws one strategy's run below y, and returns where it ends.
func (p *Picture) run(c *canvas, r *Run, y float64) float64 {
	c.text("run", fromHere, before, y+14, r.Strategy)
	c.text("", fromHere, before+wide(r.Strategy)*1.5+12, y+14, p.summary(r.Result))
	y += runHeight
	levels := r.levels()
	if len(levels) == 0 {
		c.text("", fromHere, before, y+levelTop, "Nothing is limited here: there is no bucket to show.")
		return y + panelHeight
	}
	for i := range levels {
		newPanel(p, r, i, y).draw(c)
		y += panelHeight
	}
	return y
}

// summary is a run in one line.
func (p *Picture) summary(r *simulate.Result) string {
	text := fmt.Sprintf("%s refused (429) of %s calls sent", amount(r.Refused), amount(r.Sent))
	if v := p.Scenario.Verdict(r); v.Contended {
		text += fmt.Sprintf("; %.1f %% of the quota used where the demand exceeded it", 100*v.Used)
	}
	return text + fmt.Sprintf("; half of the calls served within %s, 99 of 100 within %s", span(r.WaitP50), span(r.WaitP99))
}

// described is a limit in words, and whose bucket of it is shown.
func described(l *simulate.Limit, key simulate.Call) (name, words string) {
	unit := l.Unit
	if unit == "" {
		unit = simulate.Requests
	}
	words = fmt.Sprintf("%s %s %s", amount(l.Quota), unit, shape(l))
	var whose []string
	if key.User != "" {
		whose = append(whose, key.User)
	}
	if key.Endpoint != "" {
		whose = append(whose, key.Endpoint)
	}
	if len(whose) > 0 {
		words += "; shown for " + strings.Join(whose, " at ")
	}
	return l.Name, words
}

// shape is over what a limit counts.
func shape(l *simulate.Limit) string {
	w := l.Window
	switch {
	case w.From == simulate.FirstUse:
		return "in the " + span(w.Fixed) + " from the first one"
	case w.Fixed > 0:
		return "every " + span(w.Fixed)
	case w.Calendar != "":
		zone := w.Zone
		if zone == "" {
			zone = time.UTC.String()
		}
		return "each calendar " + w.Calendar + " in " + zone
	case w.Sliding > 0:
		return "in any " + span(w.Sliding)
	case w.Counter > 0:
		return "in any " + span(w.Counter) + ", by two counters"
	case w.Refill > 0:
		return fmt.Sprintf("coming back each %s, up to %s", span(w.Refill), amount(max(l.Quota, l.Window.Burst)))
	}
	return "at a time"
}
