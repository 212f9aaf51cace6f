package recorder

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/dialect"
	"github.com/quotabroker/quotabroker/server/quota"
	"github.com/quotabroker/quotabroker/server/recording"
)

// What is written of one report's fields, at most.
const (
	maxFields = 32
	maxValue  = 1 << 10
)

// maker makes lines of what happened. It is the writing goroutine's alone.
type maker struct {
	// shown is true when users and labels are written as they are.
	shown bool
	key   []byte
	// wants is what any of the dialects reads: a report does not say of which API
	// its permit is.
	wants dialect.Wants
}

func newMaker(shown bool) *maker {
	m := &maker{shown: shown, key: make([]byte, sha256.Size)}
	_, _ = rand.Read(m.key) // never fails, as documented
	return m
}

// wanted adds what a dialect reads.
func (m *maker) wanted(w dialect.Wants) {
	for _, name := range w.Headers {
		if !slices.Contains(m.wants.Headers, name) {
			m.wants.Headers = append(m.wants.Headers, name)
		}
	}
	m.wants.Body = max(m.wants.Body, w.Body)
}

// pseudonym is the same for the same value while this recording lasts.
func (m *maker) pseudonym(kind, value string) string {
	if value == "" {
		return ""
	}
	mac := hmac.New(sha256.New, m.key)
	mac.Write([]byte(kind + value))
	return kind + hex.EncodeToString(mac.Sum(nil)[:8])
}

// The kinds of pseudonyms.
const (
	userKind   = "u-"
	labelKind  = "l-"
	permitKind = "p-"
)

func (m *maker) permit(id string) string { return m.pseudonym(permitKind, id) }

func (m *maker) person(kind, value string) string {
	if m.shown {
		return value
	}
	return m.pseudonym(kind, value)
}

func (m *maker) scope(s quota.Scope) recording.Scope {
	made := recording.Scope{API: s.API, App: s.App, User: m.person(userKind, s.User), Endpoint: s.Endpoint}
	for name, value := range s.Labels.All {
		if made.Labels == nil {
			made.Labels = make(map[string]string)
		}
		made.Labels[name] = m.person(labelKind, value)
	}
	return made
}

func (m *maker) acquire(r *broker.AcquireRequest, a *broker.Acquired, failed string) recording.Line {
	m.wanted(a.Permit.Wants)
	line := &recording.Acquire{
		Scope: m.scope(r.Scope), Caller: r.Caller, Costs: r.Costs, Priority: priority(r.Priority),
		MaxWaitUS: recording.US(r.MaxWait), WaitedUS: recording.US(a.Waited), DryRun: r.DryRun,
		Permit: m.permit(a.Permit.ID), Failed: failed,
	}
	if d := a.Denied; d != nil {
		line.Denied = &recording.Denied{Reason: d.Reason, Limit: d.Bucket.Limit, RetryAfterUS: recording.US(d.RetryAfter)}
	}
	return recording.Line{Acquire: line}
}

func priority(p broker.Priority) string {
	switch p {
	case broker.Critical:
		return "critical"
	case broker.High:
		return "high"
	case broker.Background:
		return "background"
	default:
		return ""
	}
}

func (m *maker) report(r *broker.ReportRequest, retry broker.Retry, failed string) recording.Line {
	line := &recording.Report{
		Permit: m.permit(r.PermitID), Caller: r.Caller, Result: result(r.Result), Status: r.Response.Status,
		Headers: m.fields(r.Response.Headers), Trailers: m.fields(r.Response.Trailers), Body: m.body(&r.Response),
		SinceSentUS: recording.US(r.SinceSent), SinceReceivedUS: recording.US(r.SinceReceived),
		ActualCosts: r.ActualCosts, FromCache: r.FromCache, Failed: failed,
	}
	if r.Scope != (quota.Scope{}) {
		scope := m.scope(r.Scope)
		line.Scope = &scope
	}
	if retry.Advised {
		after := recording.US(retry.After)
		line.RetryAfterUS = &after
	}
	return recording.Line{Report: line}
}

func result(r broker.Result) string {
	switch r {
	case broker.NotSent:
		return recording.NotSent
	case broker.Lost:
		return recording.Lost
	default:
		return recording.Sent
	}
}

// fields are those that a dialect reads.
func (m *maker) fields(all []dialect.Field) [][2]string {
	var kept [][2]string
	for _, f := range all {
		name := strings.ToLower(f.Name)
		if len(kept) < maxFields && slices.ContainsFunc(m.wants.Headers, func(w string) bool { return matches(name, w) }) {
			kept = append(kept, [2]string{name, f.Value[:min(len(f.Value), maxValue)]})
		}
	}
	return kept
}

// matches reports whether a name is the wanted one, or has it as its prefix.
func matches(name, wanted string) bool {
	if prefix, ok := strings.CutSuffix(wanted, "*"); ok {
		return strings.HasPrefix(name, prefix)
	}
	return name == wanted
}

func (m *maker) body(r *dialect.Response) string {
	if m.wants.Body == dialect.EveryBody || m.wants.Body == dialect.ErrorBody && r.Status >= 400 {
		return strings.ToValidUTF8(string(r.Body), "\uFFFD")
	}
	return ""
}
