package config

import (
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/quotabroker/quotabroker/server/alert"
)

// Alerts is when people are told of quotas, and where. The zero value tells the
// log alone, at the default thresholds.
type Alerts struct {
	// Settings say what is worth an alert.
	Settings alert.Settings
	// Webhooks get every alert, as the log does.
	Webhooks []Webhook
}

// Webhook is one receiver.
type Webhook struct {
	// Name tells it apart in the log; never empty, and each has its own.
	Name string
	// Kind is the form: "json", "slack" or "alertmanager".
	Kind string
	// URL is where it is, or URLFile the file that has that: one of them.
	URL     Secret
	URLFile string
}

// Secret is a text that is never printed or logged. The zero value is empty.
type Secret struct{ text string }

// NewSecret makes a secret of a text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal is the text.
func (s Secret) Reveal() string { return s.text }

// String never shows the text.
func (Secret) String() string { return "[redacted]" }

// GoString never shows the text.
func (Secret) GoString() string { return "[redacted]" }

// LogValue never shows the text.
func (Secret) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// MarshalText never shows the text.
func (Secret) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// alerts reads the section of a configuration whose APIs are read already.
func (v value) alerts(c *Config) {
	s, set := v.section("thresholds", "others", "users", "rules", "limits", "webhooks"), &c.Alerts.Settings
	s.thresholds(&set.Thresholds)
	s.percentage("others", &set.Others)
	s.rules(&set.Rules)
	var users string
	s.word("users", &users, "hash", "show", "hide")
	set.Users = map[string]alert.UserDisplay{"show": alert.ShowUsers, "hide": alert.HideUsers}[users]
	if l, ok := s.get("limits"); ok {
		set.Limits = l.alertLimits(c)
	}
	if w, ok := s.get("webhooks"); ok {
		c.Alerts.Webhooks = w.webhooks()
	}
}

func (v value) alertLimits(c *Config) []alert.LimitSettings {
	var limits []alert.LimitSettings
	for _, item := range v.list() {
		l := item.alertLimit(c)
		if slices.ContainsFunc(limits, func(o alert.LimitSettings) bool { return o.API == l.API && o.Limit == l.Limit && l.Limit != "" }) {
			item.failf("duplicate: limit %s of %s stands here already", l.Limit, l.API)
		}
		limits = append(limits, l)
	}
	return limits
}

func (v value) alertLimit(c *Config) alert.LimitSettings {
	s := v.section("api", "limit", "thresholds", "others", "rules")
	var l alert.LimitSettings
	s.need("api", "name the API")
	s.need("limit", "name the limit, such as app-day")
	s.part("api", &l.API)
	s.part("limit", &l.Limit)
	if a, ok := s.get("api"); ok && l.API != "" && !c.AllowUnknown {
		if _, has := c.APIs[l.API]; !has {
			a.fail("no such API: name one that stands under apis")
		}
	}
	s.thresholds(&l.Thresholds)
	s.percentage("others", &l.Others)
	s.rules(&l.Rules)
	return l
}

func (s section) thresholds(to *[]alert.Share) {
	v, ok := s.get("thresholds")
	if !ok {
		return
	}
	for _, item := range v.list() {
		share := item.percentage()
		if slices.Contains(*to, share) && share != 0 {
			item.fail("is in the list already: leave one of them out")
			continue
		}
		*to = append(*to, share)
	}
}

func (s section) percentage(name string, to *alert.Share) {
	if v, ok := s.get(name); ok {
		*to = v.percentage()
	}
}

// percentage is a share with at most one decimal.
func (v value) percentage() alert.Share {
	const remedy = "must be a percentage from 0.1% to 99.9%, such as 10%"
	n, ok := v.node.(*ast.StringNode)
	if !ok {
		v.wrongType(remedy)
		return 0
	}
	m := regexp.MustCompile(`^(0|[1-9]\d?)(?:\.(\d))?%$`).FindStringSubmatch(n.Value)
	if m == nil {
		v.fail(remedy)
		return 0
	}
	tenths, err := strconv.ParseInt(m[1]+m[2]+strings.Repeat("0", 1-len(m[2])), 10, 64)
	if err != nil || tenths == 0 {
		v.fail(remedy)
		return 0
	}
	return alert.Share(tenths)
}

// rules is a list of rules, or none.
func (s section) rules(to *[]alert.Rule) {
	v, ok := s.get("rules")
	if !ok {
		return
	}
	*to = []alert.Rule{}
	if n, ok := v.node.(*ast.StringNode); ok && n.Value == "none" {
		return
	}
	for _, n := range v.names() {
		i := slices.IndexFunc(alert.Rules(), func(r alert.Rule) bool { return r.String() == n.name })
		if i < 0 {
			n.fail("no such rule: rules are remaining, cooldown, limit_changed, others, forecast; or write rules: none")
			continue
		}
		*to = append(*to, alert.Rules()[i])
	}
}

// webhooks never shows a value: what stands in the wrong place may be a secret.
func (v value) webhooks() []Webhook {
	if v.node.Type() != ast.SequenceType {
		v.hide("must be a list: write - {kind: …, url: …} for each receiver")
		return nil
	}
	var hooks []Webhook
	for i, item := range v.list() {
		if item.node.Type() != ast.MappingType {
			item.hide("must be a mapping: write {kind: …, url: …}")
			continue
		}
		w := item.webhook(i + 1)
		if slices.ContainsFunc(hooks, func(o Webhook) bool { return o.Name == w.Name }) || w.Name == "log" {
			item.failf("the name %s is taken: give it another", w.Name)
		}
		hooks = append(hooks, w)
	}
	return hooks
}

func (v value) webhook(n int) Webhook {
	s, w := v.section("kind", "name", "url", "url_file"), Webhook{}
	s.need("kind", "choose json, slack or alertmanager")
	s.word("kind", &w.Kind, "json", "slack", "alertmanager")
	w.Name = fmt.Sprintf("%s-%d", w.Kind, n)
	s.part("name", &w.Name)
	if f, ok := s.get("url_file"); ok {
		w.URLFile = f.secretPath()
	}
	u, inline := s.get("url")
	_, file := s.get("url_file")
	if inline == file && !s.unknown {
		v.fail("must have exactly one of url and url_file")
	}
	if inline {
		w.URL = u.secretURL()
	}
	return w
}

// secretURL is a URL that errors do not show.
func (v value) secretURL() Secret {
	if n, ok := v.node.(*ast.StringNode); ok {
		u, err := url.Parse(n.Value)
		if err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && len(n.Value) <= 4096 {
			return NewSecret(n.Value)
		}
	}
	v.hide("must be an http or https URL; it is not shown because it may be a secret")
	return Secret{}
}

// secretPath is the name of a file. A URL in its place is not shown.
func (v value) secretPath() string {
	if n, ok := v.node.(*ast.StringNode); ok && strings.Contains(n.Value, "://") {
		v.hide("must be a file that holds the URL; write url: for the URL itself")
		return ""
	}
	return v.text()
}

// hide reports the value as wrong and does not show it.
func (v value) hide(remedy string) { v.r.fail(v.position(), v.field(), "…", remedy) }
