// Package client asks a broker for the right to call a third-party API, and
// tells it what came back.
//
//	c := client.New(conn, client.WithCaller("importer"))
//	defer c.Close()
//
//	permit, err := c.Acquire(ctx, client.Scope{API: "linkedin", App: "app-1", User: "u-7", Endpoint: "GET /v2/people/{id}"})
//	if err != nil {
//		return err // a *DeniedError says until when and why
//	}
//	defer permit.Drop() // gives it back on every path that sends nothing
//	…send…
//	retry, err := permit.Done(ctx, client.Outcome{Status: status, Headers: headers})
//
// For net/http, package quotahttp does all of this in a RoundTripper. This
// package knows nothing of HTTP beyond status codes and names of headers.
//
// # A permit
//
// It ends exactly once: by [Permit.Done] (or [Permit.DoneAsync]), by
// [Permit.Drop], or by lapsing. It is for one call, to be sent soon: within 5 s of
// its grant, unless the broker is configured otherwise. It becomes void when that
// time is over, or when the broker revokes it because some other member of the
// fleet was told to wait. [Permit.Check] says which.
// The client keeps one stream of revocations open for each application in use.
//
// # When the broker is away
//
// By default nothing may be sent: Acquire fails with an [*UnavailableError]
// after a few tries, because calls that nobody counts are what gets an
// application locked out. With [WithBrokerAway]([Allow]) it returns a permit
// that nobody granted instead ([Permit.Unmanaged]): the call goes out uncounted,
// and nothing then keeps the fleet within its quotas until the broker is back.
// A broker that accepts connections and never answers is away only once the wait
// is over; keepalive on the connection finds it sooner.
//
// # Traces
//
// The context of a call goes with it, so a broker that traces (see its traces
// key) puts its spans into the caller's trace: which limit a call waited for, and
// how long. For that, give the connection OpenTelemetry's own handler; this
// package needs nothing of it:
//
//	conn, err := grpc.NewClient(address, grpc.WithStatsHandler(otelgrpc.NewClientHandler()), …)
//
// # Waiting
//
// Acquire waits to the context's deadline, or 30 s without one; the broker caps
// a wait (at 5 minutes unless configured) and answers a call that it can't serve
// in time at once. At most 512 calls of a client wait at the broker at the same
// time; more queue up in the client. So reports and releases always find a free
// stream on the connection. For that to hold, give each client a connection of
// its own.
package client
