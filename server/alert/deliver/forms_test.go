package deliver

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/alert"
	"github.com/quotabroker/quotabroker/server/quota"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// sample is a notice that has a bit of everything.
func sample(t *testing.T) *alert.Notice {
	t.Helper()
	labels, err := quota.NewLabels(map[string]string{"tenant": "t1"})
	if err != nil {
		t.Fatal(err)
	}
	return &alert.Notice{
		ID: "s-1-firing", Alert: "s-1", Subject: "s", Stage: alert.Firing, Rule: alert.Remaining, Threshold: alert.Percent(10),
		At: noon, Began: noon, Summary: "a < b & <!channel>", Buckets: 1,
		Status: quota.Status{
			Limit: "app-day", Unit: "requests", Key: quota.Scope{API: "linkedin", App: "app-1", Endpoint: "GET /v2/me", Labels: labels},
			Quota: 1000, Remaining: 0, Used: 1000, ResetAt: noon.Add(12 * time.Hour),
		},
	}
}

func TestForms(t *testing.T) {
	users := sample(t)
	users.Stage, users.At, users.Status = alert.Resolved, noon.Add(time.Hour), quota.Status{Limit: "member-day", Key: quota.Scope{API: "linkedin", App: "app-1"}}
	users.ID, users.Buckets, users.Summary = "s-1-resolved", 0, "over"
	changed := sample(t)
	changed.Rule, changed.Threshold, changed.Was, changed.Summary = alert.LimitChanged, 0, 500, "changed"
	for _, tt := range []struct {
		name string
		sink Sink
		n    *alert.Notice
		want string
	}{
		{"json", NewJSON("", address), sample(t), `{"version":1,"id":"s-1-firing","alert":"s-1","subject":"s","status":"firing","rule":"remaining",` +
			`"severity":"warning","summary":"a \u003c b \u0026 \u003c!channel\u003e","at":"2026-03-02T12:00:00Z","started_at":"2026-03-02T12:00:00Z",` +
			`"api":"linkedin","app":"app-1","endpoint":"GET /v2/me","labels":{"tenant":"t1"},"limit":"app-day","unit":"requests","threshold":"10%",` +
			`"quota":1000,"remaining":0,"others":0,"reset_at":"2026-03-03T00:00:00Z","buckets":1}`},
		{"json of users", NewJSON("", address), users, `{"version":1,"id":"s-1-resolved","alert":"s-1","subject":"s","status":"resolved","rule":"remaining",` +
			`"severity":"warning","summary":"over","at":"2026-03-02T13:00:00Z","started_at":"2026-03-02T12:00:00Z","ended_at":"2026-03-02T13:00:00Z",` +
			`"api":"linkedin","app":"app-1","limit":"member-day","threshold":"10%","buckets":0}`},
		{"slack", NewSlack("", address), sample(t), `{"text":":warning: a \u0026lt; b \u0026amp; \u0026lt;!channel\u0026gt;"}`},
		{"slack, over", NewSlack("", address), users, `{"text":":white_check_mark: over"}`},
		{"slack, changed", NewSlack("", address), changed, `{"text":":information_source: changed"}`},
		{"alertmanager", NewAlertmanager("", address), sample(t), `[{"labels":{"alertname":"QuotabrokerRemaining","api":"linkedin","app":"app-1",` +
			`"endpoint":"GET /v2/me","limit":"app-day","severity":"warning","subject":"s","threshold":"10%"},` +
			`"annotations":{"summary":"a \u003c b \u0026 \u003c!channel\u003e"},"startsAt":"2026-03-02T12:00:00Z","endsAt":"2026-03-02T12:06:00Z"}]`},
		{"alertmanager, over", NewAlertmanager("", address), users, `[{"labels":{"alertname":"QuotabrokerRemaining","api":"linkedin","app":"app-1",` +
			`"limit":"member-day","severity":"warning","subject":"s","threshold":"10%"},"annotations":{"summary":"over"},` +
			`"startsAt":"2026-03-02T12:00:00Z","endsAt":"2026-03-02T13:00:00Z"}]`},
		{"alertmanager, changed", NewAlertmanager("", address), changed, `[{"labels":{"alertname":"QuotabrokerLimitChanged","api":"linkedin","app":"app-1",` +
			`"endpoint":"GET /v2/me","limit":"app-day","severity":"info","subject":"s"},"annotations":{"summary":"changed"},` +
			`"startsAt":"2026-03-02T12:00:00Z","endsAt":"2026-03-02T12:06:00Z"}]`},
	} {
		got, err := tt.sink.(*webhook).form(tt.n, noon.Add(time.Minute))
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: %v, got\n%s\nwant\n%s", tt.name, err, got, tt.want)
		}
	}
}

// Alertmanager forgets when it restarts, and believes a telling for a while
// only: what fires is told again, what is over is not.
func TestAlertmanagerIsToldAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, r := newBroker(t, 100), newReceiver(t)
		follow(t, b, nil, 0, NewAlertmanager("hook", InlineAddress("http://alertmanager:9093/prefix/"), r.transport()))
		call(t, b, 95, http.StatusOK)
		time.Sleep(10 * time.Minute)
		r.mu.Lock()
		bodies, paths := append([]string(nil), r.bodies...), r.paths
		r.mu.Unlock()
		tried := r.tried()
		if len(bodies) < 9 || len(bodies) > 11 {
			t.Errorf("told %d times in ten minutes", len(bodies))
		}
		identities := map[string]bool{}
		for i, body := range bodies {
			var posted []postableAlert
			if err := json.Unmarshal([]byte(body), &posted); err != nil || len(posted) != 1 {
				t.Fatalf("%v in %s", err, body)
			}
			if left := posted[0].EndsAt.Sub(tried[i]); left != alertmanagerValid {
				t.Errorf("it ends %v after it was told", left)
			}
			identities[fmt.Sprint(posted[0].Labels, posted[0].StartsAt)] = true
		}
		if len(identities) != 1 || paths[0] != "/prefix/api/v2/alerts" {
			t.Errorf("alerts %v at %v", identities, paths)
		}
		time.Sleep(25 * time.Hour)
		r.mu.Lock()
		before := len(r.bodies)
		r.mu.Unlock()
		time.Sleep(time.Hour)
		if n := len(r.taken()); n != before {
			t.Errorf("told %d times of what is over", n-before)
		}
	})
}

func TestAddressIsNotShown(t *testing.T) {
	encoded, err := json.Marshal(map[string]any{"a": address})
	if err != nil {
		t.Fatal(err)
	}
	log, _ := logger(t)
	log.Info("shown", "address", address, "in", slog.GroupValue(slog.Any("a", address)))
	shown := string(encoded)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		shown += fmt.Sprintf(verb, address) + fmt.Sprintf(verb, []Address{address}) + fmt.Sprintf(verb, struct{ A Address }{address})
	}
	if strings.Contains(shown, secret) || !strings.Contains(shown, "redacted") {
		t.Errorf("shown: %s", shown)
	}
}

func TestAddress(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) Address {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return FileAddress(path)
	}
	for name, a := range map[string]Address{
		"empty":        {},
		"no scheme":    InlineAddress("hooks.example/" + secret),
		"other scheme": InlineAddress("ftp://hooks.example/" + secret),
		"no host":      InlineAddress("http:///" + secret),
		"control":      InlineAddress("http://hooks.example/\x00" + secret),
		"long":         InlineAddress("http://hooks.example/" + strings.Repeat(secret, 1000)),
		"no file":      FileAddress("http://hooks.example/" + secret),
		"empty file":   write("empty", ""),
		"bad file":     write("bad", "x "+secret),
	} {
		if err := a.Check(); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
	a := write("good", "http://hooks.example/"+secret+"\n")
	if u, err := a.resolve(); err != nil || u.Path != "/"+secret {
		t.Errorf("from a file: %v", err)
	}
	write("good", "http://hooks.example/new")
	if u, err := a.resolve(); err != nil || u.Path != "/new" {
		t.Errorf("a new secret: %v", err)
	}
}

// What package http says of an address that cannot be reached has the address
// in it.
func TestNoErrorShowsTheAddress(t *testing.T) {
	w := NewJSON("hook", address, WithTransport(tripper(func(*http.Request) (*http.Response, error) {
		return nil, errors.New("broken")
	})))
	err := w.Deliver(t.Context(), sample(t))
	if err == nil || err.Error() != "no answer: broken" {
		t.Errorf("got %v", err)
	}
}

func TestRetryAfter(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "-5": 0, "7": 7 * time.Second, "soon": 0, "99999999999999999999": 0,
		"Mon, 02 Mar 2026 12:01:00 GMT": time.Minute, "Mon, 02 Mar 2026 11:00:00 GMT": 0,
	} {
		if got := retryAfter(text, noon); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}
