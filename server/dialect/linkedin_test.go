package dialect

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/quotabroker/quotabroker/server/quota"
)

func throttleBody(words string) []byte {
	return []byte(`{"status":429,"serviceErrorCode":101,"code":"TOO_MANY_REQUESTS","message":"Resource level throttle ` +
		words + `limit for calls to this resource is reached."}`)
}

var (
	ofApp    = quota.Parts{Endpoint: true}
	ofMember = quota.Parts{User: true, Endpoint: true}
)

func TestLinkedInBody(t *testing.T) {
	daily := quota.Window{Kind: quota.Calendar, Unit: quota.Day}
	for _, c := range []struct {
		words  string
		says   bool
		per    quota.Parts
		window quota.Window
	}{
		{"APPLICATION DAY ", true, ofApp, daily},
		{"APPLICATION_AND_MEMBER DAY ", true, ofMember, daily},
		{"MEMBER DAY ", true, ofMember, daily},
		{"APPLICATION HOUR ", true, ofApp, fixed(time.Hour)},
		{"APPLICATION MINUTE ", true, ofApp, fixed(time.Minute)},
		{"APPLICATION_AND_MEMBER SECOND ", true, ofMember, fixed(time.Second)},
		{"APPLICATION 10 SECOND ", true, ofApp, fixed(10 * time.Second)},
		{"APPLICATION_AND_MEMBER 15 MINUTE ", true, ofMember, fixed(15 * time.Minute)},
		{"APPLICATION 65535 HOUR ", true, ofApp, fixed(65535 * time.Hour)},
		{"APPLICATION 65536 HOUR ", true, ofApp, fixed(time.Hour)},
		{"APPLICATION 0 HOUR ", true, ofApp, fixed(time.Hour)},
		{"application day ", true, ofApp, daily},
		{"APPLICATION ", true, ofApp, daily},
		{"MINUTE ", false, quota.Parts{}, fixed(time.Minute)},
		{"", false, quota.Parts{}, daily},
		{"ORGANIZATION DAY ", false, quota.Parts{}, daily},
	} {
		a := linkedin{}.Read(Response{Status: 429, Body: throttleBody(c.words), Received: noon}).Answer
		want := quota.Observation{Says: c.says, Per: c.per, Window: c.window, Blocked: true}
		if a.Verdict != quota.Refused || len(a.Observations) != 1 || a.Observations[0] != want {
			t.Errorf("%q: %+v, want %+v", c.words, a, want)
		}
		if !strings.Contains(a.Reason, strings.TrimSpace(c.words)) || a.Backoff != 0 {
			t.Errorf("%q: reason %q, backoff %v", c.words, a.Reason, a.Backoff)
		}
	}
}

// TestLinkedInProtection has the entry of the corpus, whose wait is in no
// response but in the documentation's words.
func TestLinkedInProtection(t *testing.T) {
	e := examples(t)["linkedin: 429 infrastructure protection (no scope, no window)"]
	a := linkedin{}.Read(e.response(noon)).Answer
	if a.Verdict != quota.Overloaded || a.Backoff != 60*time.Second || a.RetryAfter != 0 || a.Observations != nil {
		t.Errorf("%+v", a)
	}
	for _, body := range []string{"", "{}", "<html>busy</html>", "Resource level throttle", "Resource level throttle limits", "throttle APPLICATION DAY limit",
		strings.Repeat(" ", maxBody) + "Resource level throttle APPLICATION DAY limit"} {
		if a := (linkedin{}).Read(Response{Status: 429, Body: []byte(body)}).Answer; a.Verdict != quota.Overloaded || a.Observations != nil {
			t.Errorf("%.40q: %+v", body, a)
		}
	}
	resp := refusal("Retry-After", "17")
	if a := (linkedin{}).Read(resp).Answer; a.Verdict != quota.Overloaded || a.RetryAfter != 17*time.Second || a.Backoff != protection {
		t.Errorf("with Retry-After: %+v", a)
	}
}

// The text of another status is not read: v1 answered 403 to a missing right
// too.
func TestLinkedInOnly429(t *testing.T) {
	for _, status := range []int{200, 400, 403, 500, 503} {
		a := linkedin{}.Read(Response{Status: status, Body: throttleBody("APPLICATION DAY ")}).Answer
		if a.Verdict != quota.Passed || a.Observations != nil || a.Backoff != 0 {
			t.Errorf("%d: %+v", status, a)
		}
	}
}

// Fields and text together: both count, each for what it says.
func TestLinkedInFieldsAndBody(t *testing.T) {
	resp := refusal("X-RateLimit-Limit", "500", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "60")
	resp.Body = throttleBody("APPLICATION_AND_MEMBER DAY ")
	a := linkedin{}.Read(resp).Answer
	if len(a.Observations) != 2 || a.Observations[0].Quota != 500 || a.Observations[0].Says || a.Observations[1].Per != ofMember {
		t.Errorf("%+v", a)
	}
	// Numbers to spare and no word of a quota: a refusal all the same, and the
	// model decides whose.
	a = linkedin{}.Read(refusal("X-RateLimit-Limit", "500", "X-RateLimit-Remaining", "9")).Answer
	if a.Verdict != quota.Refused || len(a.Observations) != 1 || a.Observations[0].Blocked || a.Backoff != 0 {
		t.Errorf("%+v", a)
	}
}

// TestLinkedInLimits has the entry of the corpus for an answer without fields:
// what is expected there is known without any answer.
func TestLinkedInLimits(t *testing.T) {
	e := examples(t)["linkedin: 200 - no rate-limit headers are documented"]
	if a := (linkedin{}).Read(e.response(noon)).Answer; a.Observations != nil || a.Verdict != quota.Passed {
		t.Errorf("%+v", a)
	}
	limits := linkedin{}.Limits()
	if len(limits) != len(e.Expected) {
		t.Fatalf("%d limits", len(limits))
	}
	for i, want := range []quota.Limit{
		{Name: "app-day", Per: ofApp, Window: quota.Window{Kind: quota.Calendar, Unit: quota.Day}},
		{Name: "member-day", Per: ofMember, Window: quota.Window{Kind: quota.Calendar, Unit: quota.Day}},
	} {
		if limits[i] != want || e.Expected[i].Limit != nil || *e.Expected[i].Window != 86400 {
			t.Errorf("%+v, want %+v", limits[i], want)
		}
	}
	limits[0].Name = "changed"
	if (linkedin{}).Limits()[0].Name != "app-day" {
		t.Error("what a caller does to the limits is seen by the next")
	}
	for _, name := range both {
		if l := mustBuiltin(t, name).Limits(); l != nil {
			t.Errorf("%s: %+v", name, l)
		}
	}
}

func TestReadLeavesTheBodyAlone(t *testing.T) {
	body := throttleBody("APPLICATION DAY ")
	before := bytes.Clone(body)
	linkedin{}.Read(Response{Status: 429, Body: body})
	if !bytes.Equal(body, before) {
		t.Error("the body was changed")
	}
}
