package config_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/quotabroker/quotabroker/server/config"
	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/quota"
)

// wants is the problems that a file names in lines "# want line:column: …".
func wants(data []byte) (want []string) {
	for line := range strings.Lines(string(data)) {
		if w, ok := strings.CutPrefix(line, "# want "); ok {
			want = append(want, strings.TrimSpace(w))
		}
	}
	return want
}

func TestBusted(t *testing.T) {
	files, err := filepath.Glob("testdata/busted_*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c, err := config.Load(file)
			if c != nil || err == nil {
				t.Fatalf("accepted: %+v", c)
			}
			got := strings.ReplaceAll(err.Error(), file+":", "")
			if want := strings.Join(wants(data), "\n"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestDefault(t *testing.T) {
	c := config.Default()
	if c.Listen != "127.0.0.1:7460" || c.HTTP != "127.0.0.1:7461" || c.Store != (config.Store{Kind: config.Bolt, Path: "./data/quotabroker.db"}) {
		t.Errorf("got %+v", c)
	}
	if c.TLS != nil || c.APIs != nil || !c.AllowUnknown || c.MaxWait != 0 {
		t.Errorf("got %+v", c)
	}
}

func load(t *testing.T, name string) *config.Config {
	t.Helper()
	c, err := config.Load(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDesignFile(t *testing.T) {
	c := load(t, "working_design.yaml")
	if *c.TLS != (config.TLS{Cert: "server.pem", Key: "server-key.pem", ClientCA: "ca.pem"}) {
		t.Errorf("tls %+v", c.TLS)
	}
	if c.MaxWait != 10*time.Minute || !c.AllowUnknown || len(c.APIs) != 1 {
		t.Errorf("got %+v", c)
	}
	a := c.APIs["linkedin"]
	if a.Dialect != "linkedin" || a.Proxy.Upstream.String() != "https://api.linkedin.com" ||
		a.Proxy.UserHeader != "X-User" || a.Proxy.Listen != "" {
		t.Errorf("got %+v, proxy %+v", a, a.Proxy)
	}
	r := a.Rules
	if r.API != "linkedin" || r.SendWithin != 5*time.Second || r.ReportWithin != 2*time.Minute {
		t.Errorf("rules %+v", r)
	}
	limits := r.For(quota.Scope{API: "linkedin", User: "u", Endpoint: "GET /v2/connections"})
	if len(limits) != 2 || limits[0].Quota != 100000 || limits[1].Quota != 500 {
		t.Fatalf("limits %+v", limits)
	}
	limits = r.For(quota.Scope{API: "linkedin", User: "u", Endpoint: "GET /v2/me"})
	if l := limits[1]; l.Quota != 0 || l.Provenance != quota.Nobody || l.Per.String() != "app+user+endpoint" {
		t.Errorf("learned limit %+v", l)
	}
	if l := limits[0]; l.Provenance != quota.Configured || l.Per.String() != "app+endpoint" ||
		l.Window.String() != "{calendar: day, zone: UTC}" {
		t.Errorf("configured limit %+v", l)
	}
}

func TestStore(t *testing.T) {
	const path = "./data/quotabroker.db"
	for text, want := range map[string]config.Store{
		"":                             {Kind: config.Bolt, Path: path},
		"store: {kind: bolt}":          {Kind: config.Bolt, Path: path},
		"store: {path: /var/lib/q.db}": {Kind: config.Bolt, Path: "/var/lib/q.db"},
		"store: {kind: memory}":        {Kind: config.Memory},
	} {
		if c, err := config.Parse("f", []byte(text)); err != nil || c.Store != want {
			t.Errorf("%s: got %+v, %v, want %+v", text, c, err, want)
		}
	}
}

func TestWindows(t *testing.T) {
	r := load(t, "working_windows.yaml").APIs["windows"].Rules
	want := []string{
		"hour app requests 1 {calendar: hour, zone: UTC}",
		"week app requests 1125899906842624 {calendar: week, zone: Europe/Vienna}",
		"month app requests 2 {calendar: month, zone: America/Los_Angeles}",
		"fixed app requests 3 {fixed: 10s}",
		"aligned app requests 4 {fixed: 1m30s, align: utc}",
		"first-use app requests 4 {fixed: 10s, from: first_use}",
		"sliding app tokens 5 {sliding: 1m0s}",
		"counter app requests 6 {sliding: 1m0s, as: counter}",
		"refill app requests 2 {refill: 1s}",
		"leaky app requests 2 {refill: 1s, burst: 40}",
		"concurrent app requests 10 {concurrent: true}",
		"concurrent-learned app requests 0 {concurrent: true}",
		"learned app+tenant requests 0 learned",
	}
	if len(r.Limits) != len(want) {
		t.Fatalf("%d limits", len(r.Limits))
	}
	for i, l := range r.Limits {
		if got := describe(l); got != want[i] {
			t.Errorf("got %s, want %s", got, want[i])
		}
	}
	if strings.Join(r.Labels, " ") != "tenant region" {
		t.Errorf("labels %v", r.Labels)
	}
}

func TestWorking(t *testing.T) {
	c := load(t, "working_documentstart.yaml")
	if c.Listen != "[::1]:0" || c.HTTP != "localhost:0" || !c.AllowUnknown {
		t.Errorf("got %+v", c)
	}
	c = load(t, "working_comments.yaml")
	if d := config.Default(); c.Listen != d.Listen || c.HTTP != d.HTTP || c.APIs != nil || !c.AllowUnknown {
		t.Errorf("got %+v", c)
	}
	c = load(t, "working_beyondloopback.yaml")
	if c.Listen != ":7460" || c.HTTP != "broker.example:7461" || c.AllowUnknown {
		t.Errorf("got %+v", c)
	}
	a := c.APIs["made-up"]
	if a.Dialect != "auto" || a.Proxy.Listen != "0.0.0.0:8080" || a.Proxy.Upstream.Path != "/base" {
		t.Errorf("got %+v, proxy %+v", a, a.Proxy)
	}
}

func TestBoundsAreGood(t *testing.T) {
	c := load(t, "working_bounds.yaml")
	r := c.APIs["linkedin"].Rules
	if c.MaxWait != 24*time.Hour || r.SendWithin != time.Millisecond || r.ReportWithin != time.Millisecond {
		t.Errorf("got %v, %+v", c.MaxWait, r)
	}
	if r.Limits[0].Window.Period != time.Millisecond || r.Limits[1].Window.Period != 366*24*time.Hour {
		t.Errorf("windows %v, %v", r.Limits[0].Window, r.Limits[1].Window)
	}
	if r.Limits[1].Quota != quota.MaxQuota || len(r.Limits[1].Per.Labels()) != quota.MaxLabels {
		t.Errorf("got %+v", r.Limits[1])
	}
	if got := r.For(quota.Scope{API: "linkedin", Endpoint: "GET /v2/me"})[0].Quota; got != 2 {
		t.Errorf("override %d", got)
	}
}

// A zone's day is its own, whatever the system's zone is.
func TestZoneIsNotTheSystems(t *testing.T) {
	t.Setenv("TZ", "Asia/Tokyo")
	c, err := config.Parse("f", []byte("apis: {a: {limits: [{name: day, window: {calendar: day}}]}}"))
	if err != nil {
		t.Fatal(err)
	}
	if zone := c.APIs["a"].Rules.Limits[0].Window.Zone; zone != time.UTC {
		t.Errorf("got %v", zone)
	}
}

func TestDialectKnowsLimits(t *testing.T) {
	known, _ := dialect.Builtin("linkedin")
	text := "apis: {mine: {dialect: linkedin}, linkedin: {limits: [{name: only, quota: 5}]}}"
	c, err := config.Parse("f", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.APIs["mine"].Rules.Limits; !slices.Equal(got, known.Limits()) {
		t.Errorf("got %+v, want %+v", got, known.Limits())
	}
	if got := c.APIs["linkedin"].Rules.Limits; len(got) != 1 || got[0].Name != "only" {
		t.Errorf("got %+v beside what the dialect knows", got)
	}
}

func TestDialectIsTheOneOfThatName(t *testing.T) {
	c, err := config.Parse("f", []byte("apis: {linkedin: {}, ietf: {dialect: auto}, other: {}}"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"linkedin": "linkedin", "ietf": "auto", "other": "auto"} {
		if got := c.APIs[name].Dialect; got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func TestUnlisted(t *testing.T) {
	c := config.Default()
	for name, want := range map[string]string{"linkedin": "linkedin", "other": "auto"} {
		if a, ok := c.Unlisted(name); !ok || a.Dialect != want || a.Rules.API != name {
			t.Errorf("%s: got %+v, %v", name, a, ok)
		}
	}
	c, err := config.Parse("f", []byte("apis: {linkedin: {}}"))
	if err != nil {
		t.Fatal(err)
	}
	if a, ok := c.Unlisted("other"); ok {
		t.Errorf("got %+v beside configured APIs", a)
	}
}

func TestLoadMissing(t *testing.T) {
	_, err := config.Load(filepath.Join(t.TempDir(), "none.yaml"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := config.Load(t.TempDir()); err == nil {
		t.Error("read a directory")
	}
}

func TestErrorIsTyped(t *testing.T) {
	_, err := config.Parse("f.yaml", []byte("http: 127.0.0.1:0\nlisten: x\n"))
	var e *config.Error
	if !errors.As(err, &e) || len(e.Problems) != 1 {
		t.Fatalf("got %v", err)
	}
	p := e.Problems[0]
	if p.File != "f.yaml" || p.Line != 2 || p.Column != 9 || p.Field != "listen" || p.Value != "x" || p.Remedy == "" {
		t.Errorf("got %+v", p)
	}
}

func describe(l quota.Limit) string {
	return strings.Join([]string{l.Name, l.Per.String(), l.Counts(), strconv.FormatInt(l.Quota, 10), l.Window.String()}, " ")
}
