package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/config"
	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/quota"
)

// FuzzParse holds that no text makes Parse panic, that what it refuses has a
// place and a remedy, and that what it accepts is what the core may be given.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Parse("f", data)
		if err != nil {
			checkError(t, err)
			return
		}
		if c.Listen == "" || c.HTTP == "" || (c.Store.Kind == config.Bolt) != (c.Store.Path != "") || c.MaxWait < 0 {
			t.Errorf("accepted %+v", c)
		}
		if c.TLS != nil && (c.TLS.Cert == "" || c.TLS.Key == "") {
			t.Errorf("accepted tls %+v", c.TLS)
		}
		for name, a := range c.APIs {
			checkAPI(t, name, a)
		}
	})
}

func checkError(t *testing.T, err error) {
	t.Helper()
	var e *config.Error
	if !errors.As(err, &e) || len(e.Problems) == 0 {
		t.Fatalf("refused by %#v", err)
	}
	for _, p := range e.Problems {
		if p.File != "f" || p.Line < 1 || p.Column < 1 || p.Field == "" || p.Remedy == "" {
			t.Errorf("problem %+v", p)
		}
	}
}

func checkAPI(t *testing.T, name string, a config.API) {
	t.Helper()
	r := a.Rules
	if err := (quota.Scope{API: name}).Validate(); err != nil || r.API != name {
		t.Errorf("accepted the name %q of %+v", name, r)
	}
	if _, ok := dialect.Builtin(a.Dialect); !ok {
		t.Errorf("accepted the dialect %q", a.Dialect)
	}
	if r.SendWithin < 0 || r.ReportWithin < 0 || len(r.Labels) > quota.MaxLabels {
		t.Errorf("accepted %+v", r)
	}
	labels := make(map[string]string)
	for _, l := range r.Labels {
		labels[l] = "v"
	}
	if _, err := quota.NewLabels(labels); err != nil || len(labels) != len(r.Labels) {
		t.Errorf("accepted labels %q", r.Labels)
	}
	limits := make(map[string]quota.Limit)
	for _, l := range r.Limits {
		if _, ok := limits[l.Name]; ok || l.Name == "" || l.Quota < 0 || l.Quota > quota.MaxQuota || !soundWindow(l.Window) ||
			l.Window.Kind == quota.Refill && l.Quota == 0 {
			t.Errorf("accepted the limit %+v", l)
		}
		for _, label := range l.Per.Labels() {
			if !slices.Contains(r.Labels, label) {
				t.Errorf("accepted the part %q", label)
			}
		}
		limits[l.Name] = l
	}
	for _, o := range r.Overrides {
		if !limits[o.Limit].Per.Endpoint || o.Endpoint == "" || o.Quota < 1 || o.Quota > quota.MaxQuota {
			t.Errorf("accepted the override %+v", o)
		}
	}
	if p := a.Proxy; p != nil && (p.Upstream == nil || p.Upstream.Host == "") {
		t.Errorf("accepted the proxy %+v", p)
	}
}

// soundWindow reports whether a window has what its kind needs and no more.
func soundWindow(w quota.Window) bool {
	own := quota.Window{Kind: w.Kind}
	timed := w.Period > 0 && w.Period <= 366*24*time.Hour
	switch w.Kind {
	case quota.Calendar:
		own.Unit, own.Zone = w.Unit, w.Zone
		return w == own && w.Unit >= quota.Hour && w.Unit <= quota.Month && w.Zone != time.Local
	case quota.Fixed:
		own.Period, own.Aligned, own.FirstUse = w.Period, w.Aligned, w.FirstUse
		return w == own && timed && (!w.Aligned || !w.FirstUse)
	case quota.Sliding:
		own.Period, own.Counter = w.Period, w.Counter
		return w == own && timed
	case quota.Refill:
		own.Period, own.Burst = w.Period, w.Burst
		return w == own && timed && w.Burst >= 0 && w.Burst <= quota.MaxQuota
	default:
		return w == own
	}
}
