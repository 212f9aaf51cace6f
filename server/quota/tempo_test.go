package quota

import (
	"testing"
	"time"
)

// What is learned of windows whose length nobody tells: no less than was ever left of
// one, and no more than lies between the ends of two.
func TestTempoBoundsThePeriod(t *testing.T) {
	var c tempo
	b := &Bucket{}
	for _, end := range []span{spanOf(20, 21), spanOf(30, 31), spanOf(32, 34)} {
		c.hear(b, sec(10), end)
	}
	c.hear(b, sec(33), spanOf(40, 41))
	if c.least != 22*time.Second {
		t.Errorf("no shorter than %v, want the 22 s that were left of one", c.least)
	}
	for _, ends := range [][2]span{{spanOf(20, 21), spanOf(80, 81)}, {spanOf(20, 21), spanOf(50, 51)}, {spanOf(20, 21), spanOf(60, 61)}, {spanOf(21, 22), spanOf(20, 21)}} {
		c.learn(ends[0], ends[1])
	}
	if c.most != 31*time.Second {
		t.Errorf("no longer than %v, want the 31 s at most between two", c.most)
	}
}

// Buckets that were told the same end often turn together; one that is told of alone
// shows nothing, and one that was told an earlier end shows that they do not.
func TestTempoSharesAnEnd(t *testing.T) {
	one, other := &Bucket{}, &Bucket{}
	for name, tc := range map[string]struct {
		same   []*Bucket // are told the same end, after one was
		apart  bool
		now    float64
		shared bool
	}{
		"often":         {same: []*Bucket{other, other, other, other, other, other, other, other}, now: 10, shared: true},
		"not as often":  {same: []*Bucket{other, other, other, other, other, other, other}, now: 10},
		"by itself":     {same: []*Bucket{one, one, one, one, one, one, one, one, one}, now: 10},
		"an earlier":    {same: []*Bucket{other, other, other, other, other, other, other, other}, apart: true, now: 10},
		"it has passed": {same: []*Bucket{other, other, other, other, other, other, other, other}, now: 20},
		"too far away":  {same: []*Bucket{other, other, other, other, other, other, other, other}, now: 8},
	} {
		c := tempo{most: 12 * time.Second}
		c.hear(one, sec(9), spanOf(20, 22))
		for _, b := range tc.same {
			c.hear(b, sec(9), spanOf(19, 21))
		}
		if tc.apart {
			c.hear(other, sec(9), spanOf(17, 18))
		}
		if got := c.shared(sec(tc.now)); got.known() != tc.shared || tc.shared && got != spanOf(20, 21) {
			t.Errorf("%s: shared %v, want %v", name, got.round(), tc.shared)
		}
	}
}
