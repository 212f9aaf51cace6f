package simulate

import (
	"testing"
	"time"
)

func TestCalendarBounds(t *testing.T) {
	for _, tt := range []struct {
		unit, zone, now, began, ends string
		skew                         time.Duration
	}{
		{"day", "", "2026-03-01T23:59:59.9Z", "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z", 0},
		{"day", "UTC", "2026-03-01T23:59:59Z", "2026-03-01T23:59:58.5Z", "2026-03-02T23:59:58.5Z", 1500 * time.Millisecond},
		{"day", "America/New_York", "2026-03-08T12:00:00Z", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z", 0}, // of 23 hours
		{"day", "America/New_York", "2026-11-01T12:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z", 0}, // of 25 hours
		{"day", "Asia/Kolkata", "2026-03-01T18:30:00Z", "2026-03-01T18:30:00Z", "2026-03-02T18:30:00Z", 0},
		{"week", "", "2026-03-01T12:00:00Z", "2026-02-23T00:00:00Z", "2026-03-02T00:00:00Z", 0}, // a Sunday
		{"week", "", "2026-03-02T00:00:00Z", "2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z", 0},
		{"month", "", "2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z", 0}, // a leap day
		{"month", "", "2026-12-31T23:00:00Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z", 0},
		{"hour", "", "2026-03-01T10:59:59.999999999Z", "2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z", 0},
	} {
		r := newRule(Limit{Name: "l", Quota: 1, Window: Shape{Calendar: tt.unit, Zone: tt.zone}}, tt.skew)
		now, err := time.Parse(time.RFC3339Nano, tt.now)
		if err != nil {
			t.Fatal(err)
		}
		began, ends := r.bounds(now.UnixNano())
		if got := instant(began).Format(time.RFC3339Nano); got != tt.began {
			t.Errorf("%s in %q at %s: began %s, want %s", tt.unit, tt.zone, tt.now, got, tt.began)
		}
		if got := instant(ends).Format(time.RFC3339Nano); got != tt.ends {
			t.Errorf("%s in %q at %s: ends %s, want %s", tt.unit, tt.zone, tt.now, got, tt.ends)
		}
	}
}
