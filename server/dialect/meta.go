package dialect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"

	"github.com/quotabroker/quotabroker/server/quota"
)

// meta reads the Graph API of Meta, which tells how much is used in percent of
// limits that it does not tell, and nothing of when they begin anew. What one
// call takes of them is for the model to learn.
type meta struct{}

// metaFields is X-App-Usage: the share that is used of three limits of the
// application over one rolling hour, in percent. A call needs room in all of
// them, so the greatest counts.
// https://developers.facebook.com/docs/graph-api/overview/rate-limiting
type metaFields struct {
	Calls float64 `json:"call_count"`
	CPU   float64 `json:"total_cputime"`
	Time  float64 `json:"total_time"`
}

// metaError is the body of a refusal: the status is that of any bad request.
type metaError struct {
	Error struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// The codes of a refusal on account of a quota, by whose it is.
const (
	metaApp    = 4
	metaUser   = 17
	metaPage   = 32
	metaCustom = 613
)

// appUsage names the limit that X-App-Usage is of.
const appUsage = "app-usage"

// Name is "meta".
func (meta) Name() string { return "meta" }

// Wants is one field and the bodies of errors.
func (meta) Wants() Wants { return wants("x-app-usage") }

// Limits is nil: a limit is made when a response tells of it, which Meta begins
// to do only after enough calls.
func (meta) Limits() []quota.Limit { return nil }

// Read takes the usage, and knows a refusal by its code.
func (d meta) Read(resp Response) Reading {
	r := newReader(resp, d.Wants())
	var observations []quota.Observation
	for value := range r.values("x-app-usage") {
		if o, ok := r.metaUsage(value); ok && len(observations) == 0 {
			observations = append(observations, o)
		}
	}
	code, message := metaRefusal(resp)
	if code != 0 {
		resp.Status = statusTooManyRequests
	}
	reading := r.answer(resp, observations)
	if code == 0 {
		return reading
	}
	reading.Answer.Reason = message
	if !r.cached {
		blameMeta(&reading.Answer, code)
	}
	return reading
}

// metaUsage reads the field. What is told in whole percent may have been cut: up
// to one percent more may be used.
func (r *reader) metaUsage(value string) (quota.Observation, bool) {
	var u metaFields
	if err := json.Unmarshal([]byte(value), &u); err != nil {
		r.ignore("x-app-usage", "not the object that it should be")
		return quota.Observation{}, false
	}
	used := max(u.Calls, u.CPU, u.Time)
	if used < 0 || used > 1e6 {
		r.ignore("x-app-usage", "no plausible share")
		return quota.Observation{}, false
	}
	left := max(0, 100-math.Floor(used)-1)
	if used == 0 {
		left = 100
	}
	return quota.Observation{
		Limit: appUsage, Says: true, Unit: quota.Share,
		Quota: quota.WholeShare, Remaining: int64(left) * quota.OnePercent,
	}, true
}

// metaRefusal is the code of a refusal and its message in one line; 0 where the
// response is none.
func metaRefusal(resp Response) (code int, message string) {
	body := bytes.TrimSpace(resp.Body)
	if resp.Status < 400 || len(body) > maxBody {
		return 0, ""
	}
	var e metaError
	if json.Unmarshal(body, &e) != nil {
		return 0, ""
	}
	switch e.Error.Code {
	case metaApp, metaUser, metaPage, metaCustom:
		return e.Error.Code, fmt.Sprintf("code %d: %.100q", e.Error.Code, e.Error.Message)
	}
	return 0, ""
}

// blameMeta says whose quota was spent, where the code does: the usage is the
// application's, so another refusal is not on its account.
func blameMeta(a *quota.Answer, code int) {
	for i := range a.Observations {
		a.Observations[i].Blocked = code == metaApp
	}
	switch {
	case code == metaApp && len(a.Observations) == 0:
		a.Observations = append(a.Observations, quota.Observation{
			Limit: appUsage, Says: true, Unit: quota.Share, Blocked: true,
		})
	case code == metaUser:
		a.Observations = append(a.Observations, quota.Observation{
			Limit: "user", Says: true, Per: quota.Parts{User: true}, Blocked: true,
		})
	}
}
