package clienttest_test

import (
	"context"
	"fmt"
	"time"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/client/clienttest"
)

// A test says what the broker decides, runs the program, and looks at what the
// broker was told.
func Example() {
	b := clienttest.NewBroker()
	defer b.Close()
	c := client.New(b.Conn(), client.WithCaller("importer"))
	defer c.Close()
	scope := client.Scope{API: "linkedin", User: "u-7"}

	permit, err := c.Acquire(context.Background(), scope)
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := permit.Done(context.Background(), client.Outcome{Status: 200}); err != nil {
		fmt.Println(err)
	}
	b.CoolDown(client.Scope{API: "linkedin"}, clienttest.Denial{Limit: "app-day", RetryAfter: time.Hour})
	_, err = c.Acquire(context.Background(), scope, client.WithMaxWait(time.Second))

	fmt.Println(b.Acquires()[0].GetCaller(), "asked", len(b.Acquires()), "times")
	fmt.Println("reported", b.Reports()[0].GetStatusCode())
	fmt.Println("refused:", err != nil)
	// Output:
	// importer asked 2 times
	// reported 200
	// refused: true
}
