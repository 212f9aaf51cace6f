package wire

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/config"
	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/quota"
)

// busy is a server that calls of so many users went through.
func busy(t testing.TB, users int) *Server {
	t.Helper()
	c, err := config.Parse("test.yaml", []byte(`
store: {kind: memory}
apis:
  linkedin:
    dialect: linkedin
    limits:
      - {name: app-day, per: [app], quota: 100000000, window: {calendar: day, zone: UTC}}
      - {name: member-day, per: [app, user], quota: 500, window: {calendar: day, zone: UTC}}
      - {name: member-minute, per: [app, user, endpoint], quota: learn}
`))
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewServer(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop(context.Background()) })
	for i := range users {
		s.call(t, quota.Scope{API: "linkedin", App: "app-1", User: fmt.Sprint("someone-", i), Endpoint: "GET /x"})
	}
	return s
}

// call acquires and reports; a machine that is too busy for its store in memory
// is asked again.
func (s *Server) call(t testing.TB, scope quota.Scope) {
	t.Helper()
	a, err := s.broker.Acquire(t.Context(), broker.AcquireRequest{Scope: scope, Caller: "svc"})
	for errors.Is(err, broker.ErrUnavailable) {
		a, err = s.broker.Acquire(t.Context(), broker.AcquireRequest{Scope: scope, Caller: "svc"})
	}
	if err != nil || a.Denied != nil {
		t.Fatal(a.Denied, err)
	}
	r := broker.ReportRequest{PermitID: a.Permit.ID, Caller: "svc", Response: dialect.Response{Status: 200}}
	if _, err := s.broker.Report(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

// scraped is what a scrape shows of a busy server.
func scraped(t testing.TB, users int) []*dto.MetricFamily {
	t.Helper()
	families, err := busy(t, users).Metrics().Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// text is a scrape as Prometheus reads it.
func text(t testing.TB, families []*dto.MetricFamily) string {
	t.Helper()
	var b strings.Builder
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// Many users leave as many series as a few do, and no more than 2 000 with all that
// the process and its RPCs have. BenchmarkScrape shows the same of a million.
func TestSeries(t *testing.T) {
	const users = 10_000
	few, many := text(t, scraped(t, 10)), text(t, scraped(t, users))
	if n := series(many, ""); n > 2000 {
		t.Errorf("%d series", n)
	}
	if a, b := series(few, "quotabroker_"), series(many, "quotabroker_"); a != b || a < 50 {
		t.Errorf("ten users have %d series, %d users %d", a, users, b)
	}
	if i := strings.Index(many, "someone-"); i >= 0 {
		t.Errorf("a user is a label: %.100s", many[i:])
	}
	if want := fmt.Sprintf("\nquotabroker_buckets{api=\"linkedin\",limit=\"member-day\"} %d\n", users); !strings.Contains(many, want) {
		t.Errorf("there is no line %s", want)
	}
}

// What a scrape takes, and how many series it has.
func BenchmarkScrape(b *testing.B) {
	for _, users := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprint("users=", users), func(b *testing.B) {
			s := busy(b, users)
			b.ReportAllocs()
			var families []*dto.MetricFamily
			for b.Loop() {
				var err error
				if families, err = s.Metrics().Gather(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(series(text(b, families), "")), "series")
		})
	}
}

// series is how many samples a scrape has of names that begin so.
func series(scrape, prefix string) (n int) {
	for line := range strings.Lines(scrape) {
		if !strings.HasPrefix(line, "#") && strings.HasPrefix(line, prefix) {
			n++
		}
	}
	return n
}

// The metrics are as Prometheus's own linter wants them; promtool looks too,
// where it is installed.
func TestMetricsAreWellNamed(t *testing.T) {
	families := scraped(t, 10)
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	promtool(t, text(t, families), "check", "metrics")
}

// promtool runs it, and fails the test for what it finds; where it is not
// installed nothing happens, and make promtool is what installs it.
func promtool(t *testing.T, stdin string, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Log("promtool is not installed")
		return
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// registry is what there is to ask for: the labels of each name, as a query
// names them, and the values of each label.
type registry struct {
	labels map[string]map[string]bool
	values map[string]map[string]bool
}

func newRegistry(families []*dto.MetricFamily) registry {
	r := registry{map[string]map[string]bool{"up": {}}, map[string]map[string]bool{}}
	for _, f := range families {
		names := []string{f.GetName()}
		if f.GetType() == dto.MetricType_HISTOGRAM {
			names = []string{f.GetName() + "_bucket", f.GetName() + "_sum", f.GetName() + "_count"}
		}
		labels := map[string]bool{}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = true
				if r.values[l.GetName()] == nil {
					r.values[l.GetName()] = map[string]bool{}
				}
				r.values[l.GetName()][l.GetValue()] = true
			}
		}
		for _, name := range names {
			r.labels[name] = maps.Clone(labels)
		}
		if len(names) > 1 {
			r.labels[names[0]]["le"] = true
		}
	}
	for _, labels := range r.labels {
		labels["job"], labels["instance"] = true, true // Prometheus adds these
	}
	return r
}

// check reports what a query, and the texts that speak of its result, ask for and
// is not there.
func (r registry) check(query string, texts ...string) []string {
	var found []string
	q := parseQuery(query)
	if len(q.metrics) == 0 {
		found = append(found, "it asks for no metric")
	}
	known := map[string]bool{}
	for _, name := range q.metrics {
		if r.labels[name] == nil {
			found = append(found, "there is no metric "+name)
		}
		maps.Copy(known, r.labels[name])
	}
	labels := q.labels
	for _, t := range texts {
		labels = append(labels, labelsIn(t)...)
	}
	for _, l := range labels {
		if !known[l] {
			found = append(found, fmt.Sprintf("no metric of %v has a label %s", q.metrics, l))
		}
	}
	for label, value := range q.matched {
		if label != "job" && !strings.Contains(value, "$") && !r.values[label][value] {
			found = append(found, fmt.Sprintf("no label %s is %q", label, value))
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}
