package quotahttp_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/client/clienttest"
	"github.com/quotabroker/quotabroker/client/quotahttp"
)

func Example() {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "hello", r.URL.Path)
	}))
	defer upstream.Close()
	broker := clienttest.NewBroker() // in a program: grpc.NewClient("127.0.0.1:7460", …)
	defer broker.Close()
	c := client.New(broker.Conn(), client.WithCaller("importer"))
	defer c.Close()

	api := &http.Client{Transport: quotahttp.New(c, "linkedin",
		quotahttp.WithApp(quotahttp.Always("client-id-1")),
		quotahttp.WithUser(quotahttp.Header("X-User")),
		quotahttp.WithEndpoint(quotahttp.Routes("GET /v2/people/{id}")),
	)}
	get := func(path string) {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, upstream.URL+path, http.NoBody)
		if err != nil {
			fmt.Println(err)
			return
		}
		req.Header.Set("X-User", "u-7")
		resp, err := api.Do(req)
		if denied, ok := errors.AsType[*client.DeniedError](err); ok {
			fmt.Println(denied.Reason, "for", denied.RetryAfter)
			return
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		defer resp.Body.Close()
		fmt.Println(resp.Status)
	}

	get("/v2/people/123")
	fmt.Println(broker.Acquires()[0].GetScope().GetEndpoint())
	broker.Deny(client.Scope{User: "u-7"}, clienttest.Denial{RetryAfter: time.Minute})
	get("/v2/people/123")
	// Output:
	// 200 OK
	// GET /v2/people/{id}
	// QUOTA_EXHAUSTED for 1m0s
}

func ExampleRoutes() {
	endpoint := quotahttp.Routes("GET /v2/people/{id}", "GET /v2/people/me")
	for _, path := range []string{"/v2/people/123", "/v2/people/me", "/v2/shares/9/comments"} {
		fmt.Println(endpoint(httptest.NewRequest(http.MethodGet, path, http.NoBody)))
	}
	// Output:
	// GET /v2/people/{id}
	// GET /v2/people/me
	// GET /v2/shares/*
}
