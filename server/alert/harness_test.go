package alert

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

// day is a midnight.
var day = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// appKey and userKey are what buckets of two limits count.
var appKey = quota.Scope{API: "linkedin", App: "app-1", Endpoint: "GET /v2/me"}

func userKey(user string) quota.Scope {
	return quota.Scope{API: "linkedin", App: "app-1", User: user}
}

// left is the status of a day's bucket of 1,000 with so many left, at an instant.
func left(now time.Time, remaining int64) quota.Status {
	return quota.Status{
		Limit: "app-day", Unit: quota.Requests, Key: appKey, Quota: 1000, Remaining: remaining, Used: 1000 - remaining,
		ResetAt: now.Truncate(24 * time.Hour).Add(24 * time.Hour), Period: 24 * time.Hour,
	}
}

// script drives a book and writes down what it says.
type script struct {
	t    testing.TB
	book *Book
	now  time.Time
	said []Notice
}

func play(t testing.TB, s Settings) *script { return &script{t: t, book: NewBook(s), now: day} }

// at moves to a time of the day, and lets every tick on the way happen.
func (s *script) at(after time.Duration) {
	s.t.Helper()
	to := day.Add(after)
	if to.Before(s.now) {
		s.t.Fatalf("the script goes back to %v", after)
	}
	for s.now.Add(10 * time.Second).Before(to) {
		s.now = s.now.Add(10 * time.Second)
		s.hear(s.book.Tick(s.now))
	}
	s.now = to
	s.hear(s.book.Tick(s.now))
}

func (s *script) see(st quota.Status) { s.hear(s.book.See(s.now, st)) }

func (s *script) hear(notices []Notice) { s.said = append(s.said, notices...) }

// heard takes what was said since the last time, in short, and fails the test
// unless it is this.
func (s *script) heard(want ...string) {
	s.t.Helper()
	var got []string
	for _, n := range s.said {
		text := n.Stage.String() + " " + n.Rule.String()
		if n.Threshold > 0 && n.Rule == Remaining {
			text += " " + n.Threshold.String()
		}
		if n.Status.Unit == "" {
			text += fmt.Sprint(" ", n.Buckets)
		}
		got = append(got, text)
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("at %v: got %q, want %q", s.now.Sub(day), got, want)
	}
	s.said = nil
}

// says takes what was said, and fails the test unless it is one notice with this
// summary.
func (s *script) says(want string) {
	s.t.Helper()
	if len(s.said) != 1 || s.said[0].Summary != want {
		s.t.Errorf("at %v: got %q\nwant %q", s.now.Sub(day), summaries(s.said), want)
	}
	s.said = nil
}

func summaries(notices []Notice) string {
	var all []string
	for _, n := range notices {
		all = append(all, n.Summary)
	}
	return strings.Join(all, "\n")
}
