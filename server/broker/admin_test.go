package broker_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
)

// isField reports whether an error complains of the field.
func isField(err error, to **quota.FieldError, field string) bool {
	return errors.As(err, to) && (*to).Field == field
}

func (b *bench) list(r broker.ListRequest) broker.Listing {
	b.t.Helper()
	l, err := b.List(r)
	if err != nil {
		b.t.Fatal(err)
	}
	return l
}

// users are the users of the listed buckets.
func users(l broker.Listing) (names []string) {
	for _, q := range l.Quotas {
		names = append(names, q.Key.User)
	}
	return names
}

func TestList(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 100, time.Hour), every("user", perUser, 10, time.Hour))
		b.take(2, ask("u1"))
		b.take(9, ask("u2"))
		b.take(10, ask("u3"))
		waits := b.begin("u3 waits", patient("u3", time.Minute))
		defer func() {
			waits.cancel()
			waits.ended()
		}()

		all := b.list(broker.ListRequest{})
		if got := users(all); !slices.Equal(got, []string{"u3", "u2", "", "u1"}) || all.Matched != 4 {
			t.Errorf("by pressure: %q of %d", got, all.Matched)
		}
		app := broker.LimitSum{LimitID: broker.LimitID{API: "api", Limit: "app"}, Unit: "requests", Buckets: 1, Used: 21, Outstanding: 21}
		user := broker.LimitSum{LimitID: broker.LimitID{API: "api", Limit: "user"}, Unit: "requests", Buckets: 3, Spent: 1, Used: 21, Outstanding: 21, Waiting: 1}
		if !slices.Equal(all.Sums, []broker.LimitSum{app, user}) {
			t.Errorf("sums %+v", all.Sums)
		}
		for _, tt := range []struct {
			name string
			r    broker.ListRequest
			want []string
			of   int64
		}{
			{"the first two by use", broker.ListRequest{Order: broker.ByUsed, Top: 2}, []string{"", "u3"}, 4},
			{"by waiting", broker.ListRequest{Order: broker.ByWaiting}, []string{"u3", "", "u1", "u2"}, 4},
			{"by name", broker.ListRequest{Order: broker.ByName}, []string{"", "u1", "u2", "u3"}, 4},
			{"of a user", broker.ListRequest{Pattern: quota.Scope{User: "u2"}}, []string{"u2"}, 1},
			{"of an API", broker.ListRequest{Pattern: quota.Scope{API: "api", App: "app"}, Top: 1}, []string{"u3"}, 4},
			{"of another application", broker.ListRequest{Pattern: quota.Scope{App: "other"}}, nil, 0},
		} {
			l := b.list(tt.r)
			if got := users(l); !slices.Equal(got, tt.want) || l.Matched != tt.of {
				t.Errorf("%s: %q of %d, want %q of %d", tt.name, got, l.Matched, tt.want, tt.of)
			}
		}
	})
}

func TestListDetails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 100, time.Hour))
		time.Sleep(10 * time.Minute)
		a := b.granted(ask("u1"))
		if q := b.list(broker.ListRequest{}).Quotas[0]; !q.HeardAt.IsZero() || q.HeardAgo != 0 || !q.EndsAt.IsZero() {
			t.Errorf("before any answer: %+v", q)
		}
		b.report(a, response(200, "limit", "100", "remaining", "66"))
		b.report(b.granted(ask("u1")), response(200, "limit", "100", "remaining", "60"))
		time.Sleep(5 * time.Minute)
		q := b.list(broker.ListRequest{}).Quotas[0]
		// 40 of 100 in a quarter of an hour: 2 are ours, 5 of others; the rest was used before we came.
		if q.HeardAgo != 5*time.Minute || q.Used != 40 || q.Others != 5 {
			t.Errorf("got %+v", q)
		}
		if want := 22*time.Minute + 30*time.Second; q.EndsAfter != want || q.EndsAt.Sub(b.start) != 15*time.Minute+want {
			t.Errorf("it ends after %v at %v, want after %v", q.EndsAfter, q.EndsAt, want)
		}
		time.Sleep(25 * time.Minute)
		if q := b.list(broker.ListRequest{}).Quotas[0]; q.EndsAfter != 0 || !q.EndsAt.IsZero() {
			t.Errorf("at a pace that lasts it ends after %v, at %v", q.EndsAfter, q.EndsAt)
		}
	})
}

// With many users only the top talkers are listed, and everyone is counted.
func TestListTopTalkers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("user", perUser, 100, time.Hour))
		const n = 3000
		for i := range n {
			b.take(1+i%7, ask(fmt.Sprintf("u%04d", i)))
		}
		l := b.list(broker.ListRequest{Order: broker.ByUsed, Top: 3})
		if got := users(l); !slices.Equal(got, []string{"u0006", "u0013", "u0020"}) {
			t.Errorf("top talkers %q", got)
		}
		if s := l.Sums[0]; l.Matched != n || s.Buckets != n || s.Used != 11994 {
			t.Errorf("%d matched, sums %+v", l.Matched, s)
		}
		if got := len(b.list(broker.ListRequest{}).Quotas); got != broker.DefaultTop {
			t.Errorf("%d are listed, want %d", got, broker.DefaultTop)
		}
	})
}

func TestListBadInput(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 100, time.Hour))
		var bad *quota.FieldError
		for field, r := range map[string]broker.ListRequest{
			"top":       {Top: -1},
			"scope.api": {Pattern: quota.Scope{API: "other"}},
		} {
			if _, err := b.List(r); !isField(err, &bad, field) {
				t.Errorf("%s: %v", field, err)
			}
		}
		if _, err := b.List(broker.ListRequest{Top: broker.MaxTop + 1}); !isField(err, &bad, "top") {
			t.Errorf("too many: %v", err)
		}
	})
}

// While buckets are listed, calls are decided on.
func TestListAmongGrants(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("user", perUser, 100, time.Hour))
		for i := range 500 {
			b.granted(ask(fmt.Sprint("u", i)))
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range 500 {
				b.granted(ask(fmt.Sprint("v", i)))
			}
		}()
		for range 20 {
			if l := b.list(broker.ListRequest{}); l.Matched < 500 || l.Matched > 1000 {
				t.Errorf("%d matched", l.Matched)
			}
		}
		<-done
		if l := b.list(broker.ListRequest{}); l.Matched != 1000 {
			t.Errorf("%d matched at the end", l.Matched)
		}
	})
}

func (b *bench) explain(r broker.ExplainRequest) broker.Explained {
	b.t.Helper()
	x, err := b.Explain(b.t.Context(), r)
	if err != nil {
		b.t.Fatal(err)
	}
	return x
}

func TestExplain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 100, time.Hour), every("user", perUser, 3, time.Hour))
		r := broker.ExplainRequest{Scope: ask("u1").Scope}
		if x := b.explain(r); x.Denied != nil || len(x.Buckets) != 2 || x.Shadow {
			t.Fatalf("at first: %+v", x)
		}
		b.report(b.granted(ask("u1")), response(200, "limit", "100", "remaining", "98", "reset", "3500"))
		time.Sleep(time.Second)
		b.take(2, ask("u1"))
		x := b.explain(r)
		if x.Denied == nil || x.Denied.Reason != "QUOTA_EXHAUSTED" || x.Denied.Bucket.Limit != "user" {
			t.Fatalf("denied: %+v", x.Denied)
		}
		app, user := x.Buckets[0], x.Buckets[1]
		if app.Limit != "app" || app.Remaining != 96 || app.Model.Confirmed != 98 || app.Model.Held != 2 || app.Model.Counted != 1 || app.HeardAgo != time.Second {
			t.Errorf("app: %+v", app)
		}
		if len(app.Evidence) != 1 || app.Evidence[0].By != "svc" || app.Evidence[0].Remaining != 98 || app.Evidence[0].Effect != "believed" {
			t.Errorf("evidence %+v", app.Evidence)
		}
		if user.Limit != "user" || user.Remaining != 0 || user.Model.Held != 2 || user.Model.Counted != 1 || len(user.Evidence) != 0 {
			t.Errorf("user: %+v", user)
		}
		if b.remaining("app") != 96 {
			t.Error("an explanation spent something")
		}
	})
}

// Who stands before a call depends on its class.
func TestExplainWhoIsAhead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 1, time.Hour))
		b.report(b.granted(ask("u1")), response(200))
		wait := func(caller string, p broker.Priority) {
			r := patient("u1", 4*time.Minute)
			r.Caller, r.Priority = caller, p
			c := b.begin(caller, r)
			t.Cleanup(func() { c.cancel(); synctest.Wait() })
		}
		// Nobody stays whose deadline comes before the window's end.
		time.Sleep(57 * time.Minute)
		wait("batch", broker.Background)
		time.Sleep(5 * time.Second)
		wait("web", broker.High)
		wait("import", broker.Normal)
		time.Sleep(time.Second)
		for _, tt := range []struct {
			p    broker.Priority
			want []broker.Waiting
		}{
			{broker.Normal, []broker.Waiting{{"web", broker.High, time.Second}, {"import", broker.Normal, time.Second}}},
			{broker.High, []broker.Waiting{{"web", broker.High, time.Second}}},
			{broker.Critical, nil},
			{broker.Background, []broker.Waiting{
				{"web", broker.High, time.Second}, {"import", broker.Normal, time.Second}, {"batch", broker.Background, 6 * time.Second},
			}},
		} {
			x := b.explain(broker.ExplainRequest{Scope: ask("u1").Scope, Priority: tt.p})
			got := x.Buckets[0]
			if !slices.Equal(got.Ahead, tt.want) || got.AheadCount != len(tt.want) {
				t.Errorf("before a call of class %d stand %+v, want %+v", tt.p, got.Ahead, tt.want)
			}
		}
	})
}

func TestExplainTooLargeAndBad(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := shadowed(t, broker.Config{}, every("app", perApp, 10, time.Hour))
		x := b.explain(broker.ExplainRequest{Scope: ask("u1").Scope, Costs: quota.Costs{quota.Requests: 11}})
		if x.Denied == nil || x.Denied.Reason != "COST_TOO_LARGE" || x.Denied.RetryAfter != 0 || !x.Shadow {
			t.Errorf("too large: %+v", x)
		}
		var bad *quota.FieldError
		if _, err := b.Explain(t.Context(), broker.ExplainRequest{}); !isField(err, &bad, "scope.api") {
			t.Errorf("no scope: %v", err)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Explain(t.Context(), broker.ExplainRequest{Scope: ask("u1").Scope}); !errors.Is(err, broker.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}
