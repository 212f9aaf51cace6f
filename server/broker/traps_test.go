package broker_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/quota"
)

// What is made of the headers that some upstreams document, where nothing is
// configured and the dialect is "auto".

// unconfigured is a broker of an API of which nothing is known. It starts late enough
// for Unix seconds to be taken for what they are.
func unconfigured(t *testing.T) *bench {
	t.Helper()
	time.Sleep(10 * 365 * 24 * time.Hour)
	auto, _ := dialect.Builtin("auto")
	return open(t, broker.Config{APIs: map[string]broker.API{"api": {Rules: &quota.Rules{API: "api"}, Dialect: auto}}})
}

// at is a request to an endpoint.
func at(endpoint string) broker.AcquireRequest {
	r := ask("")
	r.Scope.Endpoint = endpoint
	return r
}

// inUnix is an instant so long from now, in Unix seconds.
func inUnix(d time.Duration) string { return strconv.FormatInt(time.Now().Add(d).Unix(), 10) }

// quotaOf is what is known of the limit of a quota; the zero value where there is
// none.
func (b *bench) quotaOf(n int64) broker.Quota {
	for _, q := range b.Statuses(quota.Scope{}) {
		if q.Quota == n {
			return q
		}
	}
	return broker.Quota{}
}

// Peer bug 16: Discord's refusal of all calls, which tells of no bucket, holds them
// all back until it is over, and then one probes.
func TestPeerBug16DiscordGlobal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := unconfigured(t)
		route := func(left int) dialect.Response {
			return response(200, "X-RateLimit-Limit", "10", "X-RateLimit-Remaining", strconv.Itoa(left),
				"X-RateLimit-Reset-After", "600", "X-RateLimit-Bucket", "abcd1234")
		}
		b.report(b.granted(at("GET /channels/1")), route(9))
		b.report(b.granted(at("GET /channels/1")), response(429,
			"Retry-After", "65", "X-RateLimit-Global", "true", "X-RateLimit-Scope", "global"))
		for _, endpoint := range []string{"GET /channels/1", "GET /guilds/2"} {
			if d := b.denied("COOLING_DOWN", at(endpoint)).Denied; d.Bucket.Limit != "global" || d.RetryAfter != 65*time.Second {
				t.Errorf("%s: held back by %s for %v", endpoint, d.Bucket.Limit, d.RetryAfter)
			}
		}
		if q := b.quotaOf(10); q.State != quota.Open || q.Remaining < 7 {
			t.Errorf("the call's own limit is %+v", q)
		}
		time.Sleep(65 * time.Second)
		probe := b.granted(at("GET /guilds/2"))
		b.denied("PROBING", at("GET /channels/1"))
		b.report(probe, route(8))
		b.report(b.granted(at("GET /channels/1")), route(7))
	})
}

// Discord's refusal on account of what others share is charged to nobody: the
// endpoint rests for as long as it says, the bucket keeps what it has left.
func TestPeerBug16DiscordShared(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := unconfigured(t)
		answer := func(status, left int, more ...string) dialect.Response {
			return response(status, append(more, "X-RateLimit-Limit", "10", "X-RateLimit-Remaining", strconv.Itoa(left),
				"X-RateLimit-Reset-After", "3600", "X-RateLimit-Bucket", "abcd1234")...)
		}
		b.report(b.granted(at("POST /reactions")), answer(200, 9))
		b.report(b.granted(at("POST /reactions")), answer(429, 9, "Retry-After", "1337", "X-RateLimit-Scope", "shared"))
		d := b.denied("COOLING_DOWN", at("POST /reactions")).Denied
		if d.RetryAfter != 1337*time.Second || d.Bucket.Limit == "abcd1234" {
			t.Errorf("held back by %s for %v", d.Bucket.Limit, d.RetryAfter)
		}
		if q := b.quotaOf(10); q.State != quota.Open || q.Used != 1 || q.Remaining != 9 {
			t.Errorf("the bucket is %+v", q)
		}
		b.take(9, at("GET /channels/1"))
	})
}

// Okta's refusal of a call while too many are under way has the headers of the
// limit a minute, with nothing in them: that is not spent, and the call's endpoint
// rests for a moment.
func TestTrapOktaConcurrent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := unconfigured(t)
		minute := inUnix(time.Minute)
		answer := func(status int, limit, left string, reset string) dialect.Response {
			return response(status, "X-Rate-Limit-Limit", limit, "X-Rate-Limit-Remaining", left, "X-Rate-Limit-Reset", reset)
		}
		b.report(b.granted(at("GET /users")), answer(200, "600", "599", minute))
		b.report(b.granted(at("GET /users")), answer(429, "0", "0", inUnix(10*time.Second)))
		if q := b.quotaOf(600); q.State != quota.Open || q.Remaining < 598 {
			t.Errorf("the limit a minute is %+v", q)
		}
		if d := b.denied("COOLING_DOWN", at("GET /users")).Denied; d.RetryAfter > 12*time.Second {
			t.Errorf("held back by %s for %v", d.Bucket.Limit, d.RetryAfter)
		}
		b.report(b.granted(at("GET /groups")), answer(200, "600", "597", minute)) // it asks whether others are served
		for left := range 20 {
			b.report(b.granted(at("GET /groups")), answer(200, "600", strconv.Itoa(596-left), minute))
		}
		time.Sleep(12 * time.Second)
		probe := b.granted(at("GET /users"))
		b.denied("PROBING", at("GET /users"))
		b.report(probe, answer(200, "600", "570", minute))
		b.report(b.granted(at("GET /users")), answer(200, "600", "569", minute))
	})
}

// Okta's other refusal names the limit a minute: it is over when that is.
func TestTrapOktaMinute(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := unconfigured(t)
		b.report(b.granted(at("GET /users")), response(200,
			"X-Rate-Limit-Limit", "600", "X-Rate-Limit-Remaining", "40", "X-Rate-Limit-Reset", inUnix(time.Minute)))
		b.report(b.granted(at("GET /users")), response(429,
			"X-Rate-Limit-Limit", "600", "X-Rate-Limit-Remaining", "0", "X-Rate-Limit-Reset", inUnix(time.Minute)))
		if d := b.denied("COOLING_DOWN", at("GET /users")).Denied; d.RetryAfter < 59*time.Second || d.RetryAfter > 63*time.Second {
			t.Errorf("held back by %s for %v", d.Bucket.Limit, d.RetryAfter)
		}
	})
}

// Procore has two limits and one set of headers, which is of the one that is closer:
// each is a limit of its own, and the other's numbers are no news of it.
func TestTrapProcore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := unconfigured(t)
		hour := inUnix(30 * time.Minute)
		spike := func(status, left int) dialect.Response {
			return response(status, "X-Rate-Limit-Limit", "25", "X-Rate-Limit-Remaining", strconv.Itoa(left), "X-Rate-Limit-Reset", inUnix(10*time.Second))
		}
		hourly := func(status, left int) dialect.Response {
			return response(status, "X-Rate-Limit-Limit", "3600", "X-Rate-Limit-Remaining", strconv.Itoa(left), "X-Rate-Limit-Reset", hour)
		}
		b.report(b.granted(at("GET /projects")), spike(200, 24))
		b.report(b.granted(at("GET /projects")), hourly(200, 9))
		if b.quotaOf(25).Remaining < 22 || b.quotaOf(3600).Remaining > 9 {
			t.Errorf("spike %+v, hourly %+v", b.quotaOf(25), b.quotaOf(3600))
		}
		b.report(b.granted(at("GET /projects")), spike(429, 0)) // others' calls
		if d := b.denied("COOLING_DOWN", at("GET /projects")).Denied; d.Bucket.Limit != b.quotaOf(25).Limit || d.RetryAfter > 12*time.Second {
			t.Errorf("held back by %s for %v", d.Bucket.Limit, d.RetryAfter)
		}
		if q := b.quotaOf(3600); q.State != quota.Open || q.Remaining < 8 {
			t.Errorf("hourly %+v", q)
		}
		time.Sleep(12 * time.Second)
		b.report(b.granted(at("GET /projects")), hourly(429, 0))
		if d := b.denied("COOLING_DOWN", at("GET /projects")).Denied; d.Bucket.Limit != b.quotaOf(3600).Limit || d.RetryAfter < 25*time.Minute {
			t.Errorf("held back by %s for %v", d.Bucket.Limit, d.RetryAfter)
		}
	})
}

// Auth0 has been seen to refuse with a 500 beside the numbers of another limit: no
// status but 429 is a refusal, those numbers are believed, and the call stays spent.
func TestTrapAuth0(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := unconfigured(t)
		b.report(b.granted(at("POST /oauth/token")), response(200,
			"X-RateLimit-Limit", "30", "X-RateLimit-Remaining", "28", "X-RateLimit-Reset", inUnix(time.Minute)))
		r := response(500, "X-RateLimit-Limit", "30", "X-RateLimit-Remaining", "27", "X-RateLimit-Reset", inUnix(time.Minute))
		r.Body = []byte(`{"error":"access_denied","error_description":"Global limit has been reached"}`)
		if rep := b.report(b.granted(at("POST /oauth/token")), r); rep.Retry.Advised {
			t.Errorf("a 500 is taken for a refusal: %+v", rep.Retry)
		}
		if q := b.quotaOf(30); q.State != quota.Open || q.Remaining > 27 {
			t.Errorf("the limit is %+v", q)
		}
	})
}
