package dialect

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/quotabroker/quotabroker/server/quota"
)

// problemTypes is where the draft's problem types are registered.
const problemTypes = "https://iana.org/assignments/http-problem-types#"

// problem is the body of a refusal, by the draft.
type problem struct {
	Type     string   `json:"type"`
	Violated []string `json:"violated-policies"`
}

// violated takes what a problem body says into the answer: that the upstream
// is overloaded, or which policies were violated. These are why the call was
// refused, and no others.
func violated(resp Response, a *quota.Answer) {
	body := bytes.TrimSpace(resp.Body)
	if a.Verdict != quota.Refused || len(body) > maxBody || !bytes.HasPrefix(body, []byte("{")) {
		return
	}
	var p problem
	if json.Unmarshal(body, &p) != nil {
		return
	}
	kind, known := strings.CutPrefix(p.Type, problemTypes)
	overloaded := known && kind == "temporary-reduced-capacity"
	if !overloaded && (!known || len(p.Violated) == 0) {
		return
	}
	for i := range a.Observations {
		a.Observations[i].Blocked = false
	}
	if overloaded {
		a.Verdict = quota.Overloaded
		return
	}
	for _, name := range p.Violated {
		block(a, name)
	}
}

// block marks the named limit as why the call was refused. What the response
// said to be left of it stands: the call may have cost more.
func block(a *quota.Answer, name string) {
	for i := range a.Observations {
		if o := &a.Observations[i]; o.Limit == name {
			o.Blocked = true
			return
		}
	}
	if name != "" && safeName(name) && len(a.Observations) < maxObservations {
		a.Observations = append(a.Observations, quota.Observation{Limit: name, Blocked: true})
	}
}
