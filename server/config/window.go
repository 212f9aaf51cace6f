package config

import (
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/quotabroker/quotabroker/server/quota"
)

// Bounds of times. Each is far above what has been seen, and far below where
// arithmetic with it could overflow.
const (
	longestWait   = 24 * time.Hour
	longestWindow = 366 * 24 * time.Hour
)

// window is the one place where a window is made of what the file says.
func (v value) window() quota.Window {
	var w quota.Window
	s := v.section("calendar", "zone", "fixed", "align", "from", "sliding", "as", "refill", "burst", "concurrent")
	kinds := 0
	for _, k := range []struct {
		name string
		read func(value) quota.Window
	}{{"calendar", s.calendar}, {"fixed", s.fixed}, {"sliding", s.sliding}, {"refill", s.refill}, {"concurrent", value.concurrent}} {
		if kind, ok := s.get(k.name); ok {
			w = k.read(kind)
			kinds++
		}
	}
	if kinds != 1 && s.entries != nil && !s.unknown {
		v.fail("must have exactly one of calendar, fixed, sliding, refill and concurrent: leave the window out to have it learned")
	}
	s.only("zone", "calendar")
	s.only("align", "fixed")
	s.only("from", "fixed")
	s.only("as", "sliding")
	s.only("burst", "refill")
	return w
}

// only reports a key that means something only beside another.
func (s section) only(name, beside string) {
	v, ok := s.get(name)
	if _, has := s.get(beside); ok && !has {
		v.fail("goes with " + beside + ": leave it out")
	}
}

func (s section) calendar(v value) quota.Window {
	w := quota.Window{Kind: quota.Calendar, Zone: time.UTC}
	text := v.text()
	for _, u := range []quota.CalendarUnit{quota.Hour, quota.Day, quota.Week, quota.Month} {
		if text == u.String() {
			w.Unit = u
		}
	}
	if w.Unit == 0 && text != "" {
		v.fail("must be hour, day, week or month")
	}
	if z, ok := s.get("zone"); ok {
		w.Zone = z.zone()
	}
	return w
}

// zone is a time zone by its name. The system's own is refused: where a window
// turns must not depend on the machine.
func (v value) zone() *time.Location {
	text := v.text()
	if text == "" {
		return nil
	}
	zone, err := time.LoadLocation(text)
	if err != nil || strings.EqualFold(text, "local") {
		v.fail("no such time zone: name it as the IANA database does, such as UTC or America/Los_Angeles")
		return nil
	}
	return zone
}

func (s section) fixed(v value) quota.Window {
	w := quota.Window{Kind: quota.Fixed, Period: v.duration(longestWindow)}
	var align, from string
	s.word("align", &align, "utc")
	s.word("from", &from, "first_use")
	w.Aligned, w.FirstUse = align == "utc", from == "first_use"
	if w.Aligned && w.FirstUse {
		s.entries["from"].fail("a window that is aligned does not begin at its first use: leave one of the two out")
	}
	return w
}

func (s section) sliding(v value) quota.Window {
	var as string
	s.word("as", &as, "counter")
	return quota.Window{Kind: quota.Sliding, Period: v.duration(longestWindow), Counter: as == "counter"}
}

func (s section) refill(v value) quota.Window {
	w := quota.Window{Kind: quota.Refill, Period: v.duration(longestWindow)}
	if b, ok := s.get("burst"); ok {
		w.Burst = b.whole(quota.MaxQuota, "")
	}
	return w
}

func (v value) concurrent() quota.Window {
	if n, ok := v.node.(*ast.BoolNode); !ok || !n.Value {
		v.wrongType("must be true: leave the window out to have it learned")
	}
	return quota.Window{Kind: quota.Concurrent}
}
