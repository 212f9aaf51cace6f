package agenda_test

import (
	"slices"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/simulate/agenda"
)

func TestAgenda(t *testing.T) {
	var a agenda.Agenda[string]
	t0 := time.Unix(1_700_000_000, 0)
	if _, due := a.Take(t0); due || !a.Next().IsZero() {
		t.Error("an empty agenda has something to do")
	}
	for i, what := range []string{"c", "a", "b", "a again"} {
		a.Add(t0.Add(time.Duration([]int{3, 1, 2, 1}[i])*time.Second), what)
	}
	if !a.Next().Equal(t0.Add(time.Second)) {
		t.Errorf("the next is at %v", a.Next())
	}
	var done []string
	for _, after := range []time.Duration{999 * time.Millisecond, 2 * time.Second, time.Minute} {
		for what, due := a.Take(t0.Add(after)); due; what, due = a.Take(t0.Add(after)) {
			done = append(done, what)
		}
		done = append(done, "-")
	}
	if want := []string{"-", "a", "a again", "b", "-", "c", "-"}; !slices.Equal(done, want) {
		t.Errorf("got %q, want %q", done, want)
	}
}
