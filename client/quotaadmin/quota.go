package quotaadmin

import (
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
)

// Seconds is a duration that marshals to JSON as a number of seconds. A nil
// *Seconds is a duration that is not known.
type Seconds time.Duration

// MarshalJSON writes it to the millisecond.
func (s Seconds) MarshalJSON() ([]byte, error) {
	d := time.Duration(s).Round(time.Millisecond)
	return strconv.AppendFloat(nil, d.Seconds(), 'f', -1, 64), nil
}

func seconds(d *durationpb.Duration) *Seconds {
	if d == nil {
		return nil
	}
	s := Seconds(d.AsDuration())
	return &s
}

// Listing is some of the buckets that match a query, and sums of all of them.
type Listing struct {
	// Quotas are the first in the order that was asked for.
	Quotas []Quota `json:"quotas"`
	// Matched is how many match, listed or not.
	Matched int64 `json:"matched"`
	// Totals are sums of all that match, by API and limit.
	Totals []Total `json:"totals"`
}

// Quota is one bucket.
type Quota struct {
	// API to Labels are what it counts; parts by which it does not count are
	// empty.
	API      string            `json:"api"`
	App      string            `json:"app"`
	User     string            `json:"user,omitempty"`
	Endpoint string            `json:"endpoint,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
	// Limit is the name of its limit, Unit in what that counts.
	Limit string `json:"limit"`
	Unit  string `json:"unit"`
	// Quota is the units a window, Remaining those that can still be granted; -1
	// when not known.
	Quota     int64 `json:"quota"`
	Remaining int64 `json:"remaining"`
	// Used is the units that this window has lost, whoever took them, and what is
	// on its way; Others those that nobody acquired, and OthersToday all such since
	// midnight in the window's time zone, as seen so far.
	Used        int64 `json:"used"`
	Others      int64 `json:"others"`
	OthersToday int64 `json:"others_today,omitempty"`
	// Pressure is the share that is taken, 0 to 1.
	Pressure float64 `json:"pressure"`
	// Outstanding is the permits that are granted and not settled, Waiting the
	// callers that stand at the bucket.
	Outstanding int64 `json:"outstanding"`
	Waiting     int64 `json:"waiting"`
	// ResetAfter is the time until the window turns.
	ResetAfter *Seconds `json:"reset_after_seconds,omitempty"`
	// State is "open", "cooling", "probing" or "ramping"; CooldownAfter is when a
	// cool-down ends, and CooldownReason why it began.
	State          string   `json:"state"`
	CooldownAfter  *Seconds `json:"cooldown_after_seconds,omitempty"`
	CooldownReason string   `json:"cooldown_reason,omitempty"`
	// Whose is in a few words why it is this bucket that is closed, or why a limit
	// that responses tell of is counted as it is; empty when there is no doubt.
	Whose string `json:"whose,omitempty"`
	// Provenance is who told the quota: "configured", "told", "learned" or
	// "nobody".
	Provenance string `json:"provenance"`
	// EndsAfter is the time until the quota ends at the pace of this window so
	// far; nil when the window turns first, or nothing can be said.
	EndsAfter *Seconds `json:"ends_after_seconds,omitempty"`
	// Window is the kind of its window as the configuration writes it, empty when
	// nobody declared or told it. FoundWindow is the kind that responses show where
	// it is not declared, or only as fixed, and FoundConfidence how sure that is, 0
	// to 1; empty while they show none.
	Window          string  `json:"window,omitempty"`
	FoundWindow     string  `json:"found_window,omitempty"`
	FoundConfidence float64 `json:"found_confidence,omitempty"`
	// HeardAgo is the time since a response last told numbers; nil when none has.
	HeardAgo *Seconds `json:"heard_ago_seconds,omitempty"`
	// Confidence is what a learned quota rests on; nil for any other.
	Confidence *Confidence `json:"confidence,omitempty"`
	// Rate is how many calls a second are let through of a group that the upstream
	// refuses without a word; 0 when none are held back so.
	Rate float64 `json:"rate,omitempty"`
	// LearnedCosts is what calls take of the limit as the broker has learned it,
	// because nobody says it: of a few endpoints, the greatest first.
	LearnedCosts []LearnedCost `json:"learned_costs,omitempty"`
}

// LearnedCost is what a call of an endpoint takes of a limit, as the broker learned it.
type LearnedCost struct {
	// Endpoint is the endpoint, empty for calls without one, and Cost what is reserved
	// for each.
	Endpoint string `json:"endpoint"`
	Cost     int64  `json:"cost"`
	// Answers is how many of the last few show just that, by what they told of what
	// remains; 0 where callers reported what their calls took.
	Answers int64 `json:"answers"`
}

// Confidence is what a learned quota rests on.
type Confidence struct {
	// Confirmed is how many windows the upstream refused a call at this number, 0
	// where other users' buckets say so; ConfirmedAgo is the time since it last did.
	Confirmed    int64    `json:"confirmed"`
	ConfirmedAgo *Seconds `json:"confirmed_ago_seconds,omitempty"`
	// Full is how many windows were used up since without a refusal.
	Full int64 `json:"full"`
	// Siblings is by how many more of the other users' buckets learned this number
	// than another.
	Siblings int64 `json:"siblings"`
}

// Total sums up the buckets of one limit.
type Total struct {
	// API and Limit name the limit, Unit is in what it counts.
	API   string `json:"api"`
	Limit string `json:"limit"`
	Unit  string `json:"unit"`
	// Buckets is how many there are, Spent how many of them have nothing left to
	// grant, Closed how many are not open.
	Buckets int64 `json:"buckets"`
	Spent   int64 `json:"spent"`
	Closed  int64 `json:"closed"`
	// Used to Waiting are sums of the fields of [Quota].
	Used        int64 `json:"used"`
	Others      int64 `json:"others"`
	Outstanding int64 `json:"outstanding"`
	Waiting     int64 `json:"waiting"`
}

func listing(in *pb.ListQuotasResponse) Listing {
	// Lists are empty in JSON where there is nothing, not null.
	l := Listing{Quotas: []Quota{}, Matched: in.GetMatched(), Totals: []Total{}}
	for _, q := range in.GetQuotas() {
		l.Quotas = append(l.Quotas, quota(q))
	}
	for _, t := range in.GetTotals() {
		l.Totals = append(l.Totals, Total{
			API: t.GetApi(), Limit: t.GetLimit(), Unit: t.GetUnit(),
			Buckets: t.GetBuckets(), Spent: t.GetSpent(), Closed: t.GetClosed(),
			Used: t.GetUsed(), Others: t.GetOthers(), Outstanding: t.GetOutstanding(), Waiting: t.GetWaiting(),
		})
	}
	return l
}

func quota(in *pb.QuotaStatus) Quota {
	q := in.GetQuota()
	s := q.GetScope()
	return Quota{
		API: s.GetApi(), App: s.GetApp(), User: s.GetUser(), Endpoint: s.GetEndpoint(), Labels: s.GetLabels(),
		Limit: q.GetName(), Unit: q.GetUnit(), Quota: q.GetLimit(), Remaining: q.GetRemaining(),
		Used: in.GetUsed(), Others: in.GetOthers(), OthersToday: in.GetOthersToday(), Pressure: q.GetPressure(),
		Outstanding: in.GetOutstanding(), Waiting: in.GetWaiting(), ResetAfter: seconds(q.GetResetAfter()),
		State: state(q.GetState()), CooldownAfter: seconds(q.GetCooldownAfter()), CooldownReason: q.GetCooldownReason(),
		Provenance: provenance(q.GetProvenance()), EndsAfter: seconds(in.GetEndsAfter()), HeardAgo: seconds(in.GetHeardAgo()),
		Window: in.GetWindow(), FoundWindow: in.GetFoundWindow(), FoundConfidence: in.GetFoundConfidence(),
		Confidence: confidence(in.GetConfidence()), Rate: in.GetRate(), Whose: in.GetWhose(),
		LearnedCosts: learnedCosts(in.GetLearnedCosts()),
	}
}

func learnedCosts(in []*pb.LearnedCost) (costs []LearnedCost) {
	for _, c := range in {
		costs = append(costs, LearnedCost{Endpoint: c.GetEndpoint(), Cost: c.GetCost(), Answers: c.GetAnswers()})
	}
	return costs
}

func confidence(in *pb.Confidence) *Confidence {
	if in == nil {
		return nil
	}
	return &Confidence{
		Confirmed: in.GetConfirmed(), ConfirmedAgo: seconds(in.GetConfirmedAgo()),
		Full: in.GetFull(), Siblings: in.GetSiblings(),
	}
}

func state(s pb.State) string {
	switch s {
	case pb.State_STATE_COOLING:
		return "cooling"
	case pb.State_STATE_PROBING:
		return "probing"
	case pb.State_STATE_RAMPING:
		return "ramping"
	default:
		return "open"
	}
}

func provenance(p pb.Provenance) string {
	switch p {
	case pb.Provenance_PROVENANCE_CONFIGURED:
		return "configured"
	case pb.Provenance_PROVENANCE_TOLD:
		return "told"
	case pb.Provenance_PROVENANCE_LEARNED:
		return "learned"
	default:
		return "nobody"
	}
}
