package broker_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/store/memory"
)

func TestBadRequests(t *testing.T) {
	labels, err := quota.NewLabels(map[string]string{"colour": "red"})
	if err != nil {
		t.Fatal(err)
	}
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 5, time.Hour))
		for field, change := range map[string]func(r *broker.AcquireRequest){
			"scope.api":           func(r *broker.AcquireRequest) { r.Scope.API = "" },
			"scope.user":          func(r *broker.AcquireRequest) { r.Scope.User = strings.Repeat("x", 257) },
			"scope.endpoint":      func(r *broker.AcquireRequest) { r.Scope.Endpoint = "a\x00b" },
			"scope.labels":        func(r *broker.AcquireRequest) { r.Scope.Labels = labels },
			"caller":              func(r *broker.AcquireRequest) { r.Caller = "\xff" },
			"costs.requests":      func(r *broker.AcquireRequest) { r.Costs = quota.Costs{quota.Requests: -1} },
			"max_wait":            func(r *broker.AcquireRequest) { r.MaxWait = -1 },
			"request_id":          func(r *broker.AcquireRequest) { r.RequestID = strings.Repeat("x", 129) },
			"priority":            func(r *broker.AcquireRequest) { r.Priority = 9 },
			"scope.api: unknown":  func(r *broker.AcquireRequest) { r.Scope.API = "other" },
			"costs.requests: big": func(r *broker.AcquireRequest) { r.Costs = quota.Costs{quota.Requests: 6}; r.MaxWait = time.Hour },
		} {
			r := ask("u1")
			change(&r)
			_, err := b.Acquire(t.Context(), r)
			var bad *quota.FieldError
			want, _, _ := strings.Cut(field, ": ")
			if !errors.As(err, &bad) || bad.Field != want || bad.Remedy == "" {
				t.Errorf("%s: %v", field, err)
			}
		}
		if b.since() != 0 {
			t.Errorf("bad input was waited for, %v", b.since())
		}
		b.take(5, ask("u1"))
	})
}

func TestUnknownAPIs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{APIs: map[string]broker.API{}, Unknown: func(name string) (broker.API, bool) {
			return api(every("app", perApp, 1, time.Hour)), name != "banned"
		}})
		for _, name := range []string{"one", "two"} {
			r := ask("u1")
			r.Scope.API = name
			b.granted(r)
			b.denied("QUOTA_EXHAUSTED", r)
		}
		r := ask("u1")
		r.Scope.API = "banned"
		var bad *quota.FieldError
		if _, err := b.Acquire(t.Context(), r); !errors.As(err, &bad) || bad.Field != "scope.api" {
			t.Errorf("a banned API: %v", err)
		}
	})
}

func TestBadConfig(t *testing.T) {
	for field, c := range map[string]broker.Config{
		"Store":      {},
		"APIs.x":     {Store: memory.New(), APIs: map[string]broker.API{"x": {}}},
		"MaxWait":    {Store: memory.New(), MaxWait: -1},
		"MaxWaiters": {Store: memory.New(), MaxWaiters: -1},
		"MaxShards":  {Store: memory.New(), MaxShards: -1},
	} {
		_, err := broker.New(c)
		var bad *quota.FieldError
		if !errors.As(err, &bad) || bad.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}
