package dialect_test

import (
	"fmt"
	"time"

	"github.com/quotabroker/quotabroker/server/dialect"
)

func ExampleBuiltin() {
	d, _ := dialect.Builtin("auto")
	reading := d.Read(dialect.Response{
		Status: 429,
		Headers: []dialect.Field{
			{Name: "X-RateLimit-Limit", Value: "500"},
			{Name: "X-RateLimit-Remaining", Value: "0"},
			{Name: "X-RateLimit-Reset", Value: "60"},
			{Name: "X-RateLimit-Used", Value: "all of it"},
		},
		Received: time.Now(),
	})
	o := reading.Answer.Observations[0]
	fmt.Println(o.Quota, o.Remaining, o.Reset.After, o.Blocked)
	fmt.Println(reading.Ignored[0].Name+":", reading.Ignored[0].Reason)
	// Output:
	// 500 0 1m0s true
	// x-ratelimit-used: not a decimal number
}
