// Package quotaproxy is a reverse proxy that sends only with a permit, for
// services that cannot or need not be changed: they call the proxy instead of the
// API.
//
// A request is held until its permit comes or the longest wait is over. Then the
// proxy answers itself, in JSON:
//
//	429  the call may not be made in time; Retry-After says when to ask again
//	503  the broker is away, or the proxy is going down; with Retry-After
//	502  the upstream could not be reached, or broke off
//	504  the upstream did not answer in time
//	500  the broker refused the call as one that it cannot decide
//	400  the header that names the user is not one that can be counted by
//
// What the upstream answers is passed on as it came, a 429 too, and as it comes:
// streams are not held back. A client that leaves while it waits costs nothing.
//
// # What goes upstream
//
// Hop-by-hop headers and what a client says in X-Forwarded-For, -Host and -Proto
// are left out, and addresses of this side are told to nobody; the Host is the
// upstream's. Accept-Encoding is narrowed to gzip or nothing, so that the broker
// can be told what the body of an error says. A body of a known length up to
// 64 KiB is read before a permit is asked for, so that no permit waits for a slow
// client; a longer one is passed on as it comes, and a client that leaves before
// it is through is noticed only then.
package quotaproxy
