package wire

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/quotabroker/quotabroker/client"
)

// TestAlertsReachAWebhook goes the whole way: from a file's url_file over a
// broker's calls to a receiver, and leaves nothing behind.
func TestAlertsReachAWebhook(t *testing.T) {
	defer goleak.VerifyNone(t)
	bodies := make(chan string, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		bodies <- r.URL.Path + " " + string(body)
	}))
	defer receiver.Close()
	file := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(file, []byte(receiver.URL+"/sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := parse(t, `
store: {kind: memory}
apis: {mine: {limits: [{name: app, per: [app], quota: 20, window: {calendar: day}}]}}
alerts: {webhooks: [{kind: slack, url_file: `+file+`}]}
`)
	log := &strings.Builder{}
	link, err := Local(c, slog.New(slog.NewTextHandler(log, nil)), client.WithCaller("test"))
	if err != nil {
		t.Fatal(err)
	}
	for range 19 {
		if _, err := link.Client.Acquire(t.Context(), client.Scope{API: "mine"}, client.WithMaxWait(0)); err != nil {
			t.Fatal(err)
		}
	}
	got := <-bodies
	if err := link.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if !strings.HasPrefix(got, `/sesame {"text":":warning: mine, limit app: 1 of 20 requests are left, 5.0%`) {
		t.Errorf("the receiver got %s", got)
	}
	if text := log.String(); !strings.Contains(text, "quota alert firing") || strings.Contains(text, "sesame") {
		t.Errorf("the log: %s", text)
	}
}

func TestAlertsThatCannotWork(t *testing.T) {
	defer goleak.VerifyNone(t)
	c := parse(t, "store: {kind: memory}\nalerts: {webhooks: [{kind: json, name: pager, url_file: /nowhere/pager}]}")
	_, err := NewServer(c, nil)
	const want = `alerts.webhooks: "pager": the file of the webhook's address: no such file or directory: correct its url or url_file`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// A receiver that takes the connection and never answers does not keep the
// broker from ending.
func TestStopWithAReceiverThatHangs(t *testing.T) {
	defer goleak.VerifyNone(t)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lis.Close() }()
	accepted := make(chan net.Conn, 1)
	go func() {
		if c, err := lis.Accept(); err == nil {
			accepted <- c
		}
	}()
	c := parse(t, `
store: {kind: memory}
apis: {mine: {limits: [{name: app, per: [app], quota: 10, window: {calendar: day}}]}}
alerts: {webhooks: [{kind: alertmanager, url: "http://`+lis.Addr().String()+`"}]}
`)
	link, err := Local(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, err := link.Client.Acquire(t.Context(), client.Scope{API: "mine"}, client.WithMaxWait(0)); err != nil {
			t.Fatal(err)
		}
	}
	conn := <-accepted
	if err := link.Close(t.Context()); err != nil {
		t.Error(err)
	}
	_ = conn.Close()
}

func TestSilence(t *testing.T) {
	defer goleak.VerifyNone(t)
	s, err := NewServer(parse(t, "store: {kind: memory}\nalerts: {rules: none}"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.alerts.Service != nil {
		t.Error("alerts are on, and all rules are off")
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
