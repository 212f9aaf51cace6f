package broker_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
)

// A permit ends once: everything after that is a permit that is not known, and
// changes nothing. So is everything by another caller, and every id that is not
// one.
func TestPermitEndsOnce(t *testing.T) {
	reported := func(b *bench, id, caller string) error {
		_, err := b.Report(b.t.Context(), broker.ReportRequest{PermitID: id, Caller: caller, Response: response(200)})
		return err
	}
	notSent := func(b *bench, id, caller string) error {
		_, err := b.Report(b.t.Context(), broker.ReportRequest{PermitID: id, Caller: caller, Result: broker.NotSent})
		return err
	}
	withScope := func(b *bench, id, caller string) error {
		_, err := b.Report(b.t.Context(), broker.ReportRequest{
			PermitID: id, Caller: caller, Scope: ask("u1").Scope, Response: response(429, "limit", "5", "remaining", "0"),
		})
		return err
	}
	released := func(b *bench, id, caller string) error { return b.Release(b.t.Context(), caller, id) }
	endings := map[string]func(b *bench, id, caller string) error{"reported": reported, "not sent": notSent, "released": released}
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := open(t, broker.Config{}, every("app", perApp, 5, time.Hour))
				a := b.granted(ask("u1"))
				for _, again := range []func(b *bench, id, caller string) error{reported, notSent, withScope, released} {
					if err := again(b, a.Permit.ID, "other"); !errors.Is(err, broker.ErrPermitUnknown) {
						t.Errorf("by another caller: %v", err)
					}
				}
				if err := end(b, a.Permit.ID, "svc"); err != nil {
					t.Fatal(err)
				}
				before := b.Statuses(quota.Scope{})
				for _, again := range []func(b *bench, id, caller string) error{reported, notSent, withScope, released} {
					if err := again(b, a.Permit.ID, "svc"); !errors.Is(err, broker.ErrPermitUnknown) {
						t.Errorf("a second time: %v", err)
					}
				}
				if after := b.Statuses(quota.Scope{}); after[0] != before[0] {
					t.Errorf("a duplicate changed %+v\nto %+v", before[0], after[0])
				}
			})
		})
	}
}

// Forged ids: every bit of a real one flipped, and garbage.
func TestForgedPermits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 5, time.Hour))
		id := b.granted(ask("u1")).Permit.ID
		raw, err := base64.RawURLEncoding.DecodeString(id)
		if err != nil || len(raw) < 16 {
			t.Fatalf("the id %q: %v", id, err)
		}
		forged := []string{"", "x", id + "A", id[1:], id + "\n", id[:8] + "\n" + id[8:], strings.ToLower(id), strings.Repeat("A", 1<<16), "\x00", "ä"}
		for i := range len(raw) * 8 {
			flipped := append([]byte(nil), raw...)
			flipped[i/8] ^= 1 << (i % 8)
			forged = append(forged, base64.RawURLEncoding.EncodeToString(flipped))
		}
		for _, f := range forged {
			if err := b.Release(t.Context(), "svc", f); !errors.Is(err, broker.ErrPermitUnknown) {
				t.Fatalf("Release(%q): %v", f, err)
			}
			if _, err := b.Report(t.Context(), broker.ReportRequest{PermitID: f, Caller: "svc"}); f != "" && !errors.Is(err, broker.ErrPermitUnknown) {
				t.Fatalf("Report(%q): %v", f, err)
			}
		}
		if n := b.remaining("app"); n != 4 {
			t.Errorf("%d remain, want 4", n)
		}
	})
}

func TestBadReports(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 5, time.Hour))
		a := b.granted(ask("u1"))
		for field, r := range map[string]broker.ReportRequest{
			"since_sent":            {PermitID: a.Permit.ID, Caller: "svc", SinceSent: -1},
			"since_received":        {PermitID: a.Permit.ID, Caller: "svc", SinceReceived: -1},
			"actual_costs.requests": {PermitID: a.Permit.ID, Caller: "svc", ActualCosts: quota.Costs{quota.Requests: -1}},
			"scope.api":             {Response: response(200)},
		} {
			_, err := b.Report(t.Context(), r)
			var bad *quota.FieldError
			if !errors.As(err, &bad) || bad.Field != field {
				t.Errorf("%s: %v", field, err)
			}
		}
		b.report(a, response(200))
	})
}

// Peer bug 9: the permit of a caller that died lapses, and in the end nobody
// remembers it. A report that comes after the lapse still teaches, once.
func TestPeerBugOrphanedPermit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 10, time.Hour))
		late, lost, kept := b.granted(ask("u1")), b.granted(ask("u1")), b.granted(ask("u1"))
		b.report(kept, response(200, "limit", "10", "remaining", "7"))
		time.Sleep(quota.DefaultSendWithin + quota.Flight)
		if err := b.Release(t.Context(), "svc", late.Permit.ID); !errors.Is(err, broker.ErrPermitUnknown) {
			t.Errorf("a permit that lapsed was released: %v", err)
		}
		if n := b.remaining("app"); n > 7 {
			t.Errorf("%d remain: a lapse is no credit", n)
		}
		if rep := b.report(late, response(429, "limit", "10", "remaining", "0")); !rep.Retry.Advised {
			t.Errorf("the late report was answered %+v", rep)
		}
		if n := b.remaining("app"); n != 0 {
			t.Errorf("%d remain after a late report of none", n)
		}
		time.Sleep(quota.DefaultReportWithin)
		_, err := b.Report(t.Context(), broker.ReportRequest{PermitID: lost.Permit.ID, Caller: "svc", Response: response(200)})
		if !errors.Is(err, broker.ErrPermitUnknown) {
			t.Errorf("a permit past its report: %v", err)
		}
		if _, permits, _, _ := broker.Kept(b.Broker); permits != 0 {
			t.Errorf("%d permits are kept", permits)
		}
	})
}

// A call without a permit, and one with a permit of an earlier life of the
// broker, teach: they can only tighten.
func TestReportsWithoutPermitTighten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		earlier := open(t, broker.Config{}, every("app", perApp, 10, time.Hour)).granted(ask("u1"))
		for name, id := range map[string]string{"none": "", "of an earlier life": earlier.Permit.ID, "garbage": "garbage"} {
			b := open(t, broker.Config{}, every("app", perApp, 10, time.Hour))
			b.granted(ask("u1"))
			report := func(headers ...string) {
				t.Helper()
				r := broker.ReportRequest{PermitID: id, Caller: "svc", Scope: ask("u1").Scope, Response: response(200, headers...)}
				if _, err := b.Report(t.Context(), r); err != nil {
					t.Fatalf("permit %s: %v", name, err)
				}
			}
			report("limit", "10", "remaining", "3")
			if n := b.remaining("app"); n > 3 {
				t.Errorf("permit %s: %d remain, want at most 3", name, n)
			}
			report("limit", "10", "remaining", "10")
			if n := b.remaining("app"); n > 3 {
				t.Errorf("permit %s: %d remain: a report without a permit gave quota back", name, n)
			}
		}
		b := open(t, broker.Config{}, every("app", perApp, 10, time.Hour))
		_, err := b.Report(t.Context(), broker.ReportRequest{PermitID: earlier.Permit.ID, Caller: "svc", Response: response(200)})
		if !errors.Is(err, broker.ErrPermitUnknown) {
			t.Errorf("an earlier life's permit without a scope: %v", err)
		}
	})
}

// A call that may have reached the upstream stays spent.
func TestLostCallStaysSpent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 5, time.Hour))
		a := b.granted(ask("u1"))
		rep, err := b.Report(t.Context(), broker.ReportRequest{PermitID: a.Permit.ID, Caller: "svc", Result: broker.Lost})
		if err != nil || rep.Retry.Advised {
			t.Errorf("Report: %+v, %v", rep, err)
		}
		if n := b.remaining("app"); n != 4 {
			t.Errorf("%d remain, want 4", n)
		}
	})
}

// The first report of a 429 holds everyone back until it is due, and the report's
// answer says so. Then one probe goes, and the rest only after it: peer bugs 19
// (sleepers that wake together) and 20 (one caller's delay is its own).
func TestPeerBugCoolDownHoldsEveryoneBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 1_000, 24*time.Hour))
		a := b.granted(ask("u1"))
		early := b.granted(ask("u2"))
		rep := b.report(a, response(429, "retry-after", "30"))
		if rep.Retry != (broker.Retry{Advised: true, After: 30 * time.Second, Reason: "slow down"}) {
			t.Errorf("the advice is %+v", rep.Retry)
		}
		d := b.denied("COOLING_DOWN", ask("u1")).Denied
		if d.RetryAfter != 30*time.Second || d.Bucket.CoolReason != "slow down" {
			t.Errorf("denied until %v because %q", d.RetryAfter, d.Bucket.CoolReason)
		}
		b.denied("DEADLINE_TOO_SHORT", patient("u1", 29*time.Second))
		first, second := b.begin("probe", patient("u1", time.Minute)), b.begin("second", patient("u1", time.Minute))
		probe := first.grantedAt(t, 30*time.Second)
		if !second.running() {
			t.Error("more than one probe went")
		}
		time.Sleep(200 * time.Millisecond)
		b.report(probe, response(200))
		second.grantedAt(t, 30*time.Second+200*time.Millisecond)
		b.report(early, response(200))
	})
}

// Those who wait, and cannot be served in time after a cool-down has begun, are
// told so at once.
func TestWaitersLearnOfACoolDownAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{MaxWait: 3 * time.Hour}, every("app", perApp, 2, time.Hour))
		a := b.granted(ask("u1"))
		b.granted(ask("u1"))
		var short []*call
		long := b.begin("long", patient("u1", 2*time.Hour))
		for range 5 {
			short = append(short, b.begin("short", patient("u1", 20*time.Second)))
		}
		time.Sleep(time.Second)
		b.report(a, response(429, "limit", "2", "remaining", "0", "reset", "3600"))
		for _, c := range short {
			if d := c.deniedAt(t, time.Second, "DEADLINE_TOO_SHORT"); d.RetryAfter < 59*time.Second {
				t.Errorf("retry after %v", d.RetryAfter)
			}
		}
		if !long.running() {
			t.Error("the one that can wait is told to go away")
		}
	})
}

func TestOverloadAdvisesARetry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 10, time.Hour))
		if rep := b.report(b.granted(ask("u1")), response(503, "retry-after", "7")); !rep.Retry.Advised || rep.Retry.After != 7*time.Second {
			t.Errorf("the advice is %+v", rep.Retry)
		}
		other := ask("u1")
		other.Scope.Endpoint = "GET /y"
		if rep := b.report(b.granted(other), response(502)); rep.Retry.Advised {
			t.Errorf("a 502 that says nothing is the caller's to judge, not %+v", rep.Retry)
		}
	})
}

// The reporter's clock cannot date an answer before its permit: bug 6 of the
// peers is an absolute instant believed unchecked.
func TestPeerBugReportersClock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := open(t, broker.Config{}, every("app", perApp, 10, 24*time.Hour))
		time.Sleep(time.Minute)
		a := b.granted(ask("u1"))
		_, err := b.Report(t.Context(), broker.ReportRequest{
			PermitID: a.Permit.ID, Caller: "svc", Response: response(429, "retry-after", "30"),
			SinceSent: 24 * time.Hour, SinceReceived: 23 * time.Hour,
		})
		if err != nil {
			t.Fatal(err)
		}
		if d := b.denied("COOLING_DOWN", ask("u1")).Denied; d.RetryAfter != 30*time.Second {
			t.Errorf("the cool-down lasts %v, want 30s from the permit's grant", d.RetryAfter)
		}
	})
}
