package deliver

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/quotabroker/quotabroker/server/alert"
)

// stages writes notices as "a+" (firing), "a*" (grown) and "a-" (resolved).
var stages = map[byte]alert.Stage{'+': alert.Firing, '*': alert.Grown, '-': alert.Resolved}

func fill(q *queue, words ...string) {
	for _, w := range words {
		q.put(&alert.Notice{ID: w, Alert: w[:len(w)-1], Stage: stages[w[len(w)-1]]})
	}
}

func (q *queue) ids() []string {
	var ids []string
	for _, n := range q.notices {
		ids = append(ids, n.ID)
	}
	return ids
}

func TestQueueDropsWhatIsLeastMissed(t *testing.T) {
	for _, tt := range []struct{ put, want string }{
		{"a+ b+ c+ d+", "a+ b+ c+ d+"},
		{"a+ b+ b- c+ d+", "a+ c+ d+"},    // what began and ended here
		{"a+ a- b+ b- c+", "b+ b- c+"},    // the oldest of those
		{"a+ b+ b* b- c+", "a+ c+"},       // with all between
		{"a- b+ c+ d+ e+", "a- c+ d+ e+"}, // an end that was waited for stays
		{"a- b- c- d- e-", "b- c- d- e-"}, // nothing else is left
		{"a+ b+ c+ d+ d-", "a+ b+ c+"},    // the one that has just come
		{"a- b+ a+ c+ d+", "a- a+ c+ d+"}, // an end before a beginning is no pair
		{"a* a- b+ c+ d+", "a- b+ c+ d+"}, // its beginning was delivered
	} {
		q := &queue{most: 4}
		fill(q, strings.Fields(tt.put)...)
		if got := strings.Join(q.ids(), " "); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.put, got, tt.want)
		}
	}
}

// However it overflows: bounded, in order, nothing made up, and what is counted
// as dropped is what is missing.
func TestQueueKeepsOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := &queue{most: rapid.IntRange(1, 8).Draw(t, "most")}
		var put, took []string
		dropped := 0
		for i := range rapid.IntRange(0, 60).Draw(t, "steps") {
			if rapid.IntRange(0, 3).Draw(t, "take") == 0 {
				if n := q.take(); n != nil {
					took = append(took, n.ID)
				}
				continue
			}
			name := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "alert")
			stage := rapid.SampledFrom([]alert.Stage{alert.Firing, alert.Grown, alert.Resolved}).Draw(t, "stage")
			n := &alert.Notice{ID: fmt.Sprint(i), Alert: name, Stage: stage}
			put = append(put, n.ID)
			dropped += len(q.put(n))
			if len(q.notices) > q.most {
				t.Fatalf("%d wait, at most %d", len(q.notices), q.most)
			}
		}
		took = append(took, q.ids()...)
		if len(took)+dropped != len(put) {
			t.Fatalf("%d put, %d kept, %d dropped", len(put), len(took), dropped)
		}
		at := 0
		for _, id := range took {
			i := slices.Index(put[at:], id)
			if i < 0 {
				t.Fatalf("%s is out of order in %v", id, took)
			}
			at += i + 1
		}
	})
}

// A receiver that is away for long misses what is over; that is counted and
// logged. What fires it still gets.
func TestLongOutage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, r := newBroker(t, 100), newReceiver(t)
		log, text := logger(t)
		r.set(true, 0, "", 0)
		s := follow(t, b, log, 4, NewJSON("hook", address, r.transport()))
		for range 6 { // each day: it fires, and is over at midnight
			call(t, b, 95, http.StatusOK)
			time.Sleep(24 * time.Hour)
			time.Sleep(2 * time.Minute)
		}
		call(t, b, 95, http.StatusOK)
		time.Sleep(time.Hour)
		r.set(false, http.StatusOK, "", 0)
		time.Sleep(time.Hour)
		c := s.Counts()["hook"]
		if c.Dropped == 0 || c.Waiting != 0 || c.Delivered+c.Dropped != 13 {
			t.Errorf("counts %+v, want 13 in all", c)
		}
		all := r.messages()
		if last := all[len(all)-1]; last.Status != "firing" || int64(len(all)) != c.Delivered {
			t.Errorf("%d were delivered, the last is %s", len(all), last.ID)
		}
		if !slices.IsSortedFunc(all, func(a, b message) int { return a.At.Compare(b.At) }) {
			t.Error("out of order")
		}
		if n := strings.Count(text.String(), "alerts are dropped"); n != 1 {
			t.Errorf("%d lines about %d drops", n, c.Dropped)
		}
	})
}
