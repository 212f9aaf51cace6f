package client_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/client/clienttest"
)

// A call is acquired, sent and reported; on every path that sends nothing the
// deferred Drop gives the permit back.
func Example() {
	broker := clienttest.NewBroker() // in a program: grpc.NewClient("127.0.0.1:7460", …)
	defer broker.Close()
	c := client.New(broker.Conn(), client.WithCaller("importer"))
	defer c.Close()

	call := func(ctx context.Context) error {
		permit, err := c.Acquire(ctx, client.Scope{API: "linkedin", App: "client-id-1", User: "u-7", Endpoint: "GET /v2/people/{id}"})
		if err != nil {
			return err
		}
		defer permit.Drop() // after Done it has nothing to do
		status, headers := send()
		retry, err := permit.Done(ctx, client.Outcome{Status: status, Headers: headers})
		if err == nil && retry.Advised {
			fmt.Println("again in", retry.After)
		}
		return err
	}

	broker.Advise(429, client.Retry{Advised: true, After: time.Minute})
	fmt.Println("error:", call(context.Background()))
	fmt.Println("reported:", broker.Reports()[0].GetHeaders()[0].GetName())
	// Output:
	// again in 1m0s
	// error: <nil>
	// reported: X-RateLimit-Reset
}

// send calls the upstream.
func send() (status int, headers []client.Header) {
	return 429, []client.Header{{Name: "X-RateLimit-Reset", Value: "60"}, {Name: "Set-Cookie", Value: "never leaves the process"}}
}

func ExampleDeniedError() {
	broker := clienttest.NewBroker()
	defer broker.Close()
	c := client.New(broker.Conn())
	defer c.Close()
	broker.Deny(client.Scope{API: "linkedin"}, clienttest.Denial{Bucket: "linkedin/client-id-1", Limit: "app-day", RetryAfter: 7 * time.Hour})

	_, err := c.Acquire(context.Background(), client.Scope{API: "linkedin"})
	if denied, ok := errors.AsType[*client.DeniedError](err); ok {
		fmt.Println(denied.Limit, "is back in", denied.RetryAfter)
	}
	// Output: app-day is back in 7h0m0s
}

func ExampleWithBrokerAway() {
	broker := clienttest.NewBroker()
	defer broker.Close()
	c := client.New(broker.Conn())
	defer c.Close()
	broker.GoAway()

	_, err := c.Acquire(context.Background(), client.Scope{API: "linkedin"})
	var away *client.UnavailableError
	fmt.Println("by default nothing may be sent:", errors.As(err, &away))

	permit, err := c.Acquire(context.Background(), client.Scope{API: "linkedin"}, client.WithBrokerAway(client.Allow))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer permit.Drop()
	fmt.Println("allowed, and counted by nobody:", permit.Unmanaged())
	// Output:
	// by default nothing may be sent: true
	// allowed, and counted by nobody: true
}
