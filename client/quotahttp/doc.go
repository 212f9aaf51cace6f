// Package quotahttp makes an http.Client ask a broker before it sends, and tell
// it what came back.
//
//	api := &http.Client{Transport: quotahttp.New(c, "linkedin",
//		quotahttp.WithApp(quotahttp.Always("client-id-1")),
//		quotahttp.WithUser(quotahttp.Header("X-User")),
//		quotahttp.WithEndpoint(quotahttp.Routes("GET /v2/people/{id}", "GET /v2/connections")),
//	)}
//
// [Transport] acquires a permit inside every attempt, so that a request which is
// redirected or tried again is counted each time it goes out, and reports each
// attempt once. A denial is an error, not a response: errors.As finds the
// *client.DeniedError in what http.Client returns.
//
// # Endpoints
//
// Give [WithEndpoint] the route templates of the API. Without, [DefaultEndpoint]
// guesses one that is coarse on purpose: endpoints that are counted together by
// mistake cost some quota, while a path full of ids would make a bucket for each.
//
// # What is reported
//
// The status, and of the headers and the body what the broker asked for with the
// permit. The report is made when the header of the response is there: trailers
// come too late for it. Where the start of a body is wanted, at most 4 KiB are
// read ahead, for no longer than a quarter of a second, and the caller still
// reads all of it. A request that certainly was not sent, because no connection
// could be had, gives its permit back; one that may have been sent is reported as
// unknown, and its cost stays spent.
//
// # Retries
//
// A response is thrown away and the request sent again when the broker advises
// it, the request is idempotent (by its method, or by an Idempotency-Key or
// X-Idempotency-Key header, as in net/http) and has no body or one that GetBody
// gives again, the caller's context leaves the time, and there are attempts left.
// Otherwise the caller gets the response as it came.
//
// A cache belongs above the Transport: what it answers is not a call.
package quotahttp
