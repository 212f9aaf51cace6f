package deliver

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/alert"
	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/store/memory"
)

// round is how many calls are timed before it is another one's turn, so that
// whatever else the machine does meets all alike.
const round = 2000

// fleet is one broker, with or without alerts, of which calls are timed one by
// one.
type fleet struct {
	name  string
	b     *broker.Broker
	times []time.Duration
}

// BenchmarkAcquire compares the latency of Acquire without alerts, with alerts
// to a receiver that works, and to one that is down, in one run: medians and
// 99th percentiles in ns, and their ratios to those without alerts. One
// application after the other is told to wait, so that there is always something
// to tell.
func BenchmarkAcquire(b *testing.B) {
	works, down := newReceiver(b), newReceiver(b)
	down.set(true, 0, "", 0)
	fleets := []*fleet{
		newFleet(b, "off", nil),
		newFleet(b, "on", NewJSON("works", address, works.transport())),
		newFleet(b, "dead", NewJSON("down", address, down.transport())),
	}
	n := 0
	for b.Loop() {
		fleets[n/round%len(fleets)].call(b, n)
		n++
	}
	b.StopTimer()
	report(b, fleets)
	if b.N > 10*round && len(works.taken()) == 0 {
		b.Error("there was nothing to tell")
	}
	b.ReportMetric(float64(len(works.taken())), "alerts")
}

func newFleet(b *testing.B, name string, sink Sink) *fleet {
	user, err := quota.NewParts("app", "user")
	if err != nil {
		b.Fatal(err)
	}
	app, err := quota.NewParts("app")
	if err != nil {
		b.Fatal(err)
	}
	day := quota.Window{Kind: quota.Calendar, Unit: quota.Day}
	limits := []quota.Limit{
		{Name: "app-day", Per: app, Quota: quota.MaxQuota, Provenance: quota.Configured, Window: day},
		{Name: "member-day", Per: user, Quota: quota.MaxQuota, Provenance: quota.Configured, Window: day},
	}
	one, err := broker.New(broker.Config{
		APIs:  map[string]broker.API{"api": {Rules: &quota.Rules{API: "api", Limits: limits}, Dialect: plain{}}},
		Store: memory.New(),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = one.Close(context.Background()) })
	if sink != nil {
		s, err := Start(Config{Broker: one, Sinks: []Sink{sink}, Settings: alert.Settings{}})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			_ = s.Stop(ctx)
		})
	}
	return &fleet{name: name, b: one}
}

// call acquires, which is timed, and reports. Each application's first call is
// refused for a minute, so that cool-downs begin all the time.
func (f *fleet) call(b *testing.B, n int) {
	r := broker.AcquireRequest{Scope: quota.Scope{API: "api", App: "app", User: "u"}, Caller: "svc"}
	r.Scope.User = users[n%len(users)]
	status := http.StatusOK
	if n%round == 0 {
		r.Scope.App, r.Scope.User, status = "app-"+users[n/round%len(users)], "", http.StatusTooManyRequests
	}
	began := time.Now()
	a, err := f.b.Acquire(b.Context(), r)
	took := time.Since(began)
	if err != nil {
		b.Fatal(err)
	}
	f.times = append(f.times, took)
	if a.Denied != nil {
		return
	}
	done := broker.ReportRequest{PermitID: a.Permit.ID, Caller: "svc", Response: dialect.Response{Status: status}}
	if _, err := f.b.Report(b.Context(), done); err != nil {
		b.Fatal(err)
	}
}

var users = func() []string {
	all := make([]string, 1000)
	for i := range all {
		all[i] = "member-" + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676))
	}
	return all
}()

func report(b *testing.B, fleets []*fleet) {
	at := func(f *fleet, share float64) float64 {
		if len(f.times) == 0 {
			return 0
		}
		slices.SortFunc(f.times, cmp.Compare)
		return float64(f.times[int(share*float64(len(f.times)-1))])
	}
	for _, f := range fleets {
		for _, p := range []struct {
			name  string
			share float64
		}{{"p50", 0.5}, {"p99", 0.99}} {
			ns, off := at(f, p.share), at(fleets[0], p.share)
			b.ReportMetric(ns, f.name+"-"+p.name+"-ns")
			if f != fleets[0] && off > 0 {
				b.ReportMetric(ns/off, f.name+"/off-"+p.name)
			}
		}
	}
}
