package server_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/quotabroker/quotabroker/server"
	"github.com/quotabroker/quotabroker/server/broker"
)

// BenchmarkAcquirePermit is what the transport costs: a call through the whole
// chain, logs at info and metrics on, to a broker that grants at once.
func BenchmarkAcquirePermit(b *testing.B) {
	grants := &fake{acquire: func(context.Context, broker.AcquireRequest) (broker.Acquired, error) {
		return broker.Acquired{Permit: broker.Permit{ID: "p1"}}, nil
	}}
	r := start(b, grants, server.Options{
		Log:     slog.New(slog.NewJSONHandler(b.Output(), nil)),
		Metrics: prometheus.NewRegistry(),
	})
	client, request := r.client(), ask()
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := client.AcquirePermit(context.Background(), request); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
