package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/quotabroker/quotabroker/server/config"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
)

// monthly is a configuration of one limit that is never over within a test.
func monthly(quota int) string {
	return fmt.Sprintf("apis: {linkedin: {limits: [{name: app-day, per: [app], quota: %d, window: {calendar: month, zone: UTC}}]}}\n", quota)
}

// overwrite replaces what a file holds.
func overwrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestReloaderFollowsTheFile runs a reloader in a bubble of its own time.
func TestReloaderFollowsTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := writeFile(t, "c.yaml", monthly(1))
		file, c, err := openConfig(path)
		if err != nil {
			t.Fatal(err)
		}
		var log lockedBuffer
		read := 0
		var mu sync.Mutex // the reloader runs in a goroutine of its own
		var applied []int64
		var refusal error
		r := &reloader{
			file: file, started: c, taken: c, metrics: newReloadMetrics(file.Sum()),
			log: slog.New(slog.NewTextHandler(&log, nil)),
			apply: func(c *config.Config) error {
				mu.Lock()
				defer mu.Unlock()
				if refusal == nil {
					applied = append(applied, c.APIs["linkedin"].Rules.Limits[0].Quota)
				}
				return refusal
			},
		}
		ctx, cancel := context.WithCancel(t.Context())
		hangup := make(chan os.Signal, 1)
		ended := make(chan struct{})
		go func() { r.run(ctx, hangup); close(ended) }()
		check := func(what, wantApplied, wantLog string, attempts float64, result string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if got := fmt.Sprint(applied); got != wantApplied {
				t.Errorf("%s: applied %s, want %s", what, got, wantApplied)
			}
			logged := log.String()[read:]
			read += len(logged)
			if !strings.Contains(logged, wantLog) || (wantLog == "") != (logged == "") {
				t.Errorf("%s: logged %q, want %q", what, logged, wantLog)
			}
			if got := valueOf(t, r.metrics, "quotabroker_config_reload_attempts_total", result); got != attempts {
				t.Errorf("%s: %v attempts are %s, want %v", what, got, result, attempts)
			}
			good := map[bool]float64{true: 0, false: 1}[result == reloadFailed]
			if got := valueOf(t, r.metrics, "quotabroker_config_reload_successful", ""); got != good {
				t.Errorf("%s: successful is %v, want %v", what, got, good)
			}
		}

		time.Sleep(time.Minute)
		check("nothing changed", "[]", "", 0, reloadUnchanged)
		hangup <- syscall.SIGHUP
		check("a signal, and nothing changed", "[]", "", 1, reloadUnchanged)
		overwrite(t, path, "# more\n"+monthly(1))
		hangup <- syscall.SIGHUP
		check("a comment", "[]", "", 2, reloadUnchanged)

		overwrite(t, path, monthly(2))
		time.Sleep(lookEvery + lookEvery/2)
		check("not settled", "[]", "", 2, reloadUnchanged)
		time.Sleep(lookEvery)
		check("settled", "[2]", `field=apis.linkedin.limits.app-day.quota change="1 → 2"`, 1, reloadApplied)
		hash := valueOf(t, r.metrics, "quotabroker_config_hash", "")

		overwrite(t, path, strings.ReplaceAll(monthly(3), "app-day", ""))
		hangup <- syscall.SIGHUP
		check("a bad file", "[2]", `c.yaml:1:`, 1, reloadFailed)
		mu.Lock()
		refusal = errors.New("the broker will not have it")
		mu.Unlock()
		overwrite(t, path, monthly(3))
		hangup <- syscall.SIGHUP
		check("a file that is refused", "[2]", `the broker will not have it`, 2, reloadFailed)
		if got := valueOf(t, r.metrics, "quotabroker_config_hash", ""); got != hash {
			t.Errorf("the hash is %v, and was %v before two files that were not taken", got, hash)
		}
		mu.Lock()
		refusal = nil
		mu.Unlock()
		hangup <- syscall.SIGHUP
		check("tried again", "[2 3]", `change="2 → 3"`, 2, reloadApplied)

		elsewhere := "listen: 127.0.0.1:9999\n" + monthly(3)
		overwrite(t, path, elsewhere)
		hangup <- syscall.SIGHUP
		check("what takes a restart", "[2 3]", `field=listen change="127.0.0.1:7460 → 127.0.0.1:9999"`, 3, reloadUnchanged)
		hangup <- syscall.SIGHUP
		check("which was said", "[2 3]", "", 4, reloadUnchanged)
		overwrite(t, path, monthly(3))
		hangup <- syscall.SIGHUP
		check("and is taken back", "[2 3]", "", 5, reloadUnchanged)
		cancel()
		<-ended
	})
}

// Faults row 76: no file that is wrong, in whatever way, changes anything.
func TestReloaderRefusesBustedFiles(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "server", "config", "testdata", "busted_*.yaml"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	path := writeFile(t, "c.yaml", monthly(1))
	file, c, err := openConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	r := &reloader{
		file: file, started: c, taken: c, metrics: newReloadMetrics(file.Sum()), log: slog.New(slog.DiscardHandler),
		apply: func(*config.Config) error { t.Error("applied"); return nil },
	}
	hash := valueOf(t, r.metrics, "quotabroker_config_hash", "")
	for i, busted := range files {
		text, err := os.ReadFile(busted)
		if err != nil {
			t.Fatal(err)
		}
		overwrite(t, path, string(text))
		r.take(r.file.Read())
		if got := valueOf(t, r.metrics, "quotabroker_config_reload_attempts_total", reloadFailed); got != float64(i+1) {
			t.Errorf("%s: %v failures, want %d", busted, got, i+1)
		}
		if got := valueOf(t, r.metrics, "quotabroker_config_hash", ""); got != hash || r.taken != c {
			t.Errorf("%s: it was taken", busted)
		}
	}
}

// valueOf is the value of a metric; of one with labels, that of the result.
func valueOf(t *testing.T, m *reloadMetrics, name, result string) float64 {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(m.all()...)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (len(m.GetLabel()) == 0 || m.GetLabel()[0].GetValue() == result) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// acquireNow asks for a permit that is granted or denied at once.
func acquireNow(t *testing.T, broker pb.QuotaBrokerServiceClient, api string) codes.Code {
	t.Helper()
	_, err := broker.AcquirePermit(patient(t), &pb.AcquirePermitRequest{Scope: guide(api)})
	return status.Code(err)
}

// granted counts how many permits there are until one is denied.
func granted(t *testing.T, broker pb.QuotaBrokerServiceClient, api string) (n int) {
	t.Helper()
	for acquireNow(t, broker, api) == codes.OK {
		n++
	}
	return n
}

// TestServeReloads edits the file of a process: counts survive, what changed is in
// force, a bad file changes nothing, and the metrics say so.
func TestServeReloads(t *testing.T) {
	t.Parallel()
	const ports = "listen: 127.0.0.1:0\nhttp: 127.0.0.1:0\nstore: {kind: memory}\n"
	path := writeFile(t, "quotabroker.yaml", ports+monthly(3))
	p := start(t, "serve", "--config", path)
	broker := dial(t, p.address("gRPC"))
	metrics := "http://" + p.address("health and metrics over HTTP") + "/metrics"
	if n := granted(t, broker, "linkedin"); n != 3 {
		t.Fatalf("granted %d, want 3", n)
	}

	// A signal is followed at once.
	overwrite(t, path, ports+monthly(5))
	p.signal(syscall.SIGHUP)
	p.waitForStderr(`"change":"3 → 5"`)
	if n := granted(t, broker, "linkedin"); n != 2 {
		t.Errorf("granted %d more, want 2: the 3 before count", n)
	}
	hash := scrape(t, metrics, "quotabroker_config_hash ")

	// A file that is bad in two places changes nothing.
	overwrite(t, path, ports+"allow_unknown: yes\n"+strings.Replace(monthly(9), "month", "moon", 1))
	p.signal(syscall.SIGHUP)
	p.waitForStderr(path + `:4:16: allow_unknown`)
	p.waitForStderr(path + `:5:85: apis.linkedin.limits[0].window.calendar`)
	if code := acquireNow(t, broker, "linkedin"); code != codes.ResourceExhausted {
		t.Errorf("with a bad file: %v", code)
	}
	for _, want := range []string{
		hash, `quotabroker_config_reload_attempts_total{result="failed"} 1`,
		`quotabroker_config_reload_attempts_total{result="applied"} 1`, "quotabroker_config_reload_successful 0",
	} {
		scrape(t, metrics, want)
	}

	// A change is found without a signal; another API works from then on.
	if code := acquireNow(t, broker, "github"); code != codes.InvalidArgument {
		t.Errorf("an API that is not configured: %v", code)
	}
	overwrite(t, path, ports+"allow_unknown: true\n"+monthly(6))
	p.waitForStderr(`"change":"5 → 6"`)
	p.waitForStderr(`"field":"allow_unknown","change":"false → true"`)
	if n := granted(t, broker, "linkedin"); n != 1 {
		t.Errorf("granted %d more, want 1: the 5 before count", n)
	}
	if code := acquireNow(t, broker, "github"); code != codes.OK {
		t.Errorf("an API that is allowed now: %v", code)
	}
	scrape(t, metrics, "quotabroker_config_reload_successful 1")

	// What takes a restart is said, and not done.
	overwrite(t, path, strings.Replace(ports, "http: 127.0.0.1:0", "http: 127.0.0.1:1", 1)+"allow_unknown: true\n"+monthly(6))
	p.signal(syscall.SIGHUP)
	p.waitForStderr(`"field":"http","change":"127.0.0.1:0 → 127.0.0.1:1"`)
	scrape(t, metrics, "quotabroker_config_reload_successful 1")
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != exitOK {
		t.Errorf("got exit code %d, want %d", code, exitOK)
	}
}

// scrape is the line of the metrics that begins so.
func scrape(t *testing.T, url, begin string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close() // it is read
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, begin) {
			return strings.TrimSpace(line)
		}
	}
	t.Errorf("no line of %s begins with %q", url, begin)
	return ""
}

// TestProxyReloads edits the file of a proxy with the broker in its process.
func TestProxyReloads(t *testing.T) {
	t.Parallel()
	path := writeFile(t, "proxy.yaml", "store: {kind: memory}\n"+monthly(2))
	url, p := startProxy(t, newUpstream(t, 1000, time.Hour), "--config", path, "--max-wait", "0")
	get := func() int { return fetch(t, url, "u1").code }
	count := func() (n int) {
		for get() == http.StatusOK {
			n++
		}
		return n
	}
	if n := count(); n != 2 {
		t.Fatalf("%d went through, want 2", n)
	}
	overwrite(t, path, "store: {kind: memory}\n"+monthly(3))
	p.signal(syscall.SIGHUP)
	p.waitForStderr(`"change":"2 → 3"`)
	if n := count(); n != 1 {
		t.Errorf("%d more went through, want 1", n)
	}
	overwrite(t, path, "apis: {github: {}}\n")
	p.signal(syscall.SIGHUP)
	p.waitForStderr(`the proxy's --api: \"linkedin\": the configuration has github`)
	if got := get(); got != http.StatusTooManyRequests {
		t.Errorf("after a file without its API: %d, want 429", got)
	}
}
