package wire

import (
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/server/config"
	"github.com/quotabroker/quotabroker/server/quota"
)

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCheckAPI(t *testing.T) {
	for _, tt := range []struct{ name, config, want string }{
		{"no apis", "", ""},
		{"listed", "apis: {other: {}}", ""},
		{"allowed", "apis: {mine: {}}\nallow_unknown: true", ""},
		{"refused", "apis: {mine: {}, hers: {}}",
			`"other": the configuration has hers, mine: name one of them, add it under apis, or set allow_unknown: true`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := CheckAPI(parse(t, tt.config), "other"); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestLocal checks that a broker within the process grants what its
// configuration allows, needs no certificates even where the configuration has
// some, and leaves nothing behind.
func TestLocal(t *testing.T) {
	defer goleak.VerifyNone(t)
	c := parse(t, `
store: {kind: memory}
tls: {cert: gone.pem, key: gone.pem}
apis: {mine: {limits: [{name: app, per: [app], quota: 1, window: {fixed: 1m}}]}}
`)
	link, err := Local(c, nil, client.WithCaller("test"))
	if err != nil {
		t.Fatal(err)
	}
	scope := client.Scope{API: "mine"}
	if _, err := link.Client.Acquire(t.Context(), scope, client.WithMaxWait(0)); err != nil {
		t.Errorf("the first permit: %v", err)
	}
	var denied *client.DeniedError
	if _, err := link.Client.Acquire(t.Context(), scope, client.WithMaxWait(0)); !errors.As(err, &denied) || denied.Limit != "app" {
		t.Errorf("the second: got %v, want a denial by app", err)
	}
	if err := link.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestUnknownDialect(t *testing.T) {
	defer goleak.VerifyNone(t)
	c := &config.Config{APIs: map[string]config.API{"mine": {Dialect: "morse", Rules: &quota.Rules{API: "mine"}}}}
	if _, err := NewServer(c, nil); err == nil || !strings.HasPrefix(err.Error(), `apis.mine.dialect: "morse": choose one of auto, `) {
		t.Errorf("got %v", err)
	}
}

func TestOnLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.9.9.9": true, "::1": true, "::ffff:127.0.0.1": true, "localhost": true, "LOCALHOST": true,
		"10.0.0.1": false, "0.0.0.0": false, "": false, "::": false, "broker.example.com": false, "localhost.example.com": false,
	} {
		if got := onLoopback(host); got != want {
			t.Errorf("%q: got %v, want %v", host, got, want)
		}
	}
}
