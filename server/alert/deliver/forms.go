package deliver

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/quotabroker/quotabroker/server/alert"
	"github.com/quotabroker/quotabroker/server/quota"
)

// NewJSON is a sink that posts the generic form, which README.md describes.
func NewJSON(name string, a Address, options ...WebhookOption) Sink {
	w := newWebhook(name, a, options)
	w.form = func(n *alert.Notice, _ time.Time) ([]byte, error) { return json.Marshal(generic(n)) }
	return w
}

// message is the generic form. Fields are only ever added to a version.
type message struct {
	Version   int               `json:"version"`
	ID        string            `json:"id"`
	Alert     string            `json:"alert"`
	Subject   string            `json:"subject"`
	Status    string            `json:"status"`
	Rule      string            `json:"rule"`
	Severity  string            `json:"severity"`
	Summary   string            `json:"summary"`
	At        time.Time         `json:"at"`
	StartedAt time.Time         `json:"started_at"`
	EndedAt   time.Time         `json:"ended_at,omitzero"`
	API       string            `json:"api"`
	App       string            `json:"app"`
	Endpoint  string            `json:"endpoint,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	Limit     string            `json:"limit"`
	Unit      string            `json:"unit,omitempty"`
	Threshold string            `json:"threshold,omitempty"`
	Quota     *int64            `json:"quota,omitempty"`
	QuotaWas  int64             `json:"quota_was,omitempty"`
	Remaining *int64            `json:"remaining,omitempty"`
	Others    *int64            `json:"others,omitempty"`
	ResetAt   time.Time         `json:"reset_at,omitzero"`
	CoolUntil time.Time         `json:"cool_until,omitzero"`
	RunsOutAt time.Time         `json:"runs_out_at,omitzero"`
	Buckets   int               `json:"buckets"`
	Examples  []string          `json:"examples,omitempty"`
}

func generic(n *alert.Notice) message {
	s := &n.Status
	m := message{
		Version: 1, ID: n.ID, Alert: n.Alert, Subject: n.Subject,
		Status: n.Stage.String(), Rule: n.Rule.String(), Severity: n.Rule.Severity(), Summary: n.Summary,
		At: n.At.UTC(), StartedAt: n.Began.UTC(),
		API: s.Key.API, App: s.Key.App, Endpoint: s.Key.Endpoint, Labels: labels(s.Key),
		Limit: s.Limit, Unit: s.Unit, QuotaWas: n.Was,
		Buckets: n.Buckets, Examples: n.Examples,
	}
	if n.Threshold > 0 {
		m.Threshold = n.Threshold.String()
	}
	if n.Stage == alert.Resolved {
		m.EndedAt = m.At
	}
	if s.Unit != "" && s.Quota > 0 { // else it is about several buckets
		m.Quota, m.Others = &s.Quota, &s.Others
	}
	if s.Unit != "" && s.Remaining != quota.Unknown {
		m.Remaining = &s.Remaining
	}
	m.ResetAt, m.CoolUntil, m.RunsOutAt = s.ResetAt.UTC(), s.CoolUntil.UTC(), n.RunsOutAt.UTC()
	return m
}

func labels(key quota.Scope) map[string]string {
	var m map[string]string
	for name, value := range key.Labels.All {
		if m == nil {
			m = make(map[string]string)
		}
		m[name] = value
	}
	return m
}

// NewSlack is a sink that posts the form of Slack's incoming webhooks.
func NewSlack(name string, a Address, options ...WebhookOption) Sink {
	w := newWebhook(name, a, options)
	w.form = func(n *alert.Notice, _ time.Time) ([]byte, error) {
		return json.Marshal(map[string]string{"text": slackText(n)})
	}
	return w
}

// slackText is the summary behind a sign. Slack reads three characters as its
// own; what comes from an upstream or a caller must not mention anybody.
func slackText(n *alert.Notice) string {
	sign := ":warning:"
	switch {
	case n.Stage == alert.Resolved:
		sign = ":white_check_mark:"
	case n.Rule.Severity() == "info":
		sign = ":information_source:"
	}
	return sign + " " + strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(n.Summary)
}

const (
	// alertmanagerRefresh is how often Alertmanager is told of what still fires:
	// it forgets when it restarts.
	alertmanagerRefresh = time.Minute
	// alertmanagerValid is how long it believes one telling: an alert of a broker
	// that is gone ends by itself.
	alertmanagerValid = 5 * time.Minute
)

// NewAlertmanager is a sink that posts to version 2 of Alertmanager's API below
// the address, such as http://alertmanager:9093.
func NewAlertmanager(name string, a Address, options ...WebhookOption) Sink {
	w := newWebhook(name, a, options)
	w.path, w.refresh = "api/v2/alerts", alertmanagerRefresh
	w.form = func(n *alert.Notice, now time.Time) ([]byte, error) {
		return json.Marshal([]postableAlert{postable(n, now)})
	}
	return w
}

// postableAlert is the name that Alertmanager's API gives to it.
type postableAlert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
}

// postable has nothing in its labels that changes while the alert fires: they
// are its identity.
func postable(n *alert.Notice, now time.Time) postableAlert {
	p := postableAlert{
		Labels: map[string]string{
			"alertname": "Quotabroker" + camel(n.Rule.String()), "severity": n.Rule.Severity(),
			"api": n.Status.Key.API, "limit": n.Status.Limit, "subject": n.Subject,
		},
		Annotations: map[string]string{"summary": n.Summary},
		StartsAt:    n.Began.UTC(), EndsAt: now.Add(alertmanagerValid).UTC(),
	}
	if n.Stage == alert.Resolved {
		p.EndsAt = n.At.UTC()
	}
	for name, value := range map[string]string{"app": n.Status.Key.App, "endpoint": n.Status.Key.Endpoint} {
		if value != "" {
			p.Labels[name] = value
		}
	}
	if n.Threshold > 0 {
		p.Labels["threshold"] = n.Threshold.String()
	}
	return p
}

// camel is "limit_changed" as "LimitChanged".
func camel(s string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(s, "_") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}
