package strategy

import (
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/simulate"
)

// The guide's code doubles what the reset says with each of five tries, and then
// begins again.
func TestGuide(t *testing.T) {
	d := newDesk(t, "guide")
	d.want(0, "a", 0, "")
	now := 0.0
	for range 6 {
		d.answer(now+1, "a", 429, "X-RateLimit-Reset: 10")
		d.until(now + 1000)
		now += 1000
	}
	d.answer(6001, "a", 200)
	d.until(9000)
	d.wantSent("a@0", "a@11", "a@1021", "a@2041", "a@3081", "a@4161", "a@5011")
}

func TestGuideReadsWhatThereIs(t *testing.T) {
	for _, tt := range []struct {
		header, want string
	}{
		{"Date: whatever", "a@61"},
		{"X-RateLimit-Reset: soon", "a@61"},
		{"X-RateLimit-Reset: 0", "a@1"},
		{"X-RateLimit-Reset: 1700000024", "a@21"}, // 21 s after t0
		{"X-RateLimit-Reset: 1600000000", "a@1"},
	} {
		d := newDesk(t, "guide")
		d.want(0, "a", 0, "")
		d.answer(1, "a", 429, tt.header)
		d.until(100)
		d.wantSent("a@0", tt.want)
	}
}

// Each service backs off alone: one's refusal holds nobody else back.
func TestNobodyElseIsHeldBack(t *testing.T) {
	for _, name := range []string{"guide", "jitter"} {
		d := newDesk(t, name)
		d.want(0, "a", 0, "")
		d.answer(1, "a", 429)
		d.want(1, "b", 1, "")
		d.want(1, "c", 0, "")
		if len(d.sent) != 3 {
			t.Errorf("%s: sent %q, want all three at once", name, d.sent)
		}
	}
}

func TestJitter(t *testing.T) {
	longest := map[int]time.Duration{}
	for range 200 {
		d := newDesk(t, "jitter")
		w := d.Strategy.(*waiting)
		for tries := 1; tries <= 8; tries++ {
			p := w.pause(t0, simulate.Reply{}, tries)
			if most := min(time.Second<<(tries-1), time.Minute); p < 0 || p >= most {
				t.Fatalf("try %d waits %v, want less than %v", tries, p, most)
			}
			longest[tries] = max(longest[tries], p)
		}
	}
	if longest[8] <= longest[3] {
		t.Errorf("it does not back off: %v", longest)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	for _, header := range []string{"Retry-After: 30", "Retry-After: Tue, 14 Nov 2023 22:13:54 GMT"} { // 31 s after t0
		d := newDesk(t, "jitter")
		d.want(0, "a", 0, "")
		d.answer(1, "a", 503, header)
		d.until(30.9)
		d.wantSent("a@0")
		d.until(32)
		if len(d.sent) != 1 {
			t.Errorf("%s: sent %d times within the next second", header, len(d.sent))
		}
	}
}
