package quotaadmin

import pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"

// Explanation is what would become of a call, and why.
type Explanation struct {
	// Denied is why it would not be allowed at once; nil if it would.
	Denied *Denial `json:"denied,omitempty"`
	// Shadow says that the API is in shadow mode: it would be allowed all the same,
	// unless it is too large.
	Shadow bool `json:"shadow"`
	// Buckets are those that count it.
	Buckets []Bucket `json:"buckets"`
}

// Denial is why a call is not allowed.
type Denial struct {
	// Reason is one of those of client.DeniedError, or "COST_TOO_LARGE".
	Reason string `json:"reason"`
	// Limit is the name of the limit that decides, Bucket what that counts; empty
	// when none decides.
	Limit  string `json:"limit,omitempty"`
	Bucket string `json:"bucket,omitempty"`
	// RetryAfter is when asking again makes sense; nil when it never does.
	RetryAfter *Seconds `json:"retry_after_seconds,omitempty"`
}

// Bucket is one bucket with what its state rests on.
type Bucket struct {
	Quota
	// Model is the numbers behind it.
	Model Model `json:"model"`
	// Evidence is the last reports about it, the newest first.
	Evidence []Evidence `json:"evidence"`
	// Ahead are callers that stand before the call, the next one first, and
	// AheadCount how many there are, named or not.
	Ahead      []Waiter `json:"ahead"`
	AheadCount int64    `json:"ahead_count"`
}

// Model is what the broker counts with. Where the quota is known, what remains is
// min(Confirmed − Uncovered, quota − Counted) − Held, and never below 0.
type Model struct {
	// Confirmed is the lowest remaining that a response told in this window, or
	// that follows from the quota; -1 when nothing bounds it. ConfirmedAgo is nil
	// when no response told it.
	Confirmed    int64    `json:"confirmed"`
	ConfirmedAgo *Seconds `json:"confirmed_ago_seconds,omitempty"`
	// Uncovered is the units that Confirmed may not have yet, Counted those of our
	// own calls that the upstream took, Held those of permits that are not settled.
	Uncovered int64 `json:"uncovered"`
	Counted   int64 `json:"counted"`
	Held      int64 `json:"held"`
	// BeganAgo is the time since this window began, EndsAfterLeast and
	// EndsAfterMost bound the time until it ends, and Pad is how much later the
	// broker turns.
	BeganAgo       *Seconds `json:"began_ago_seconds,omitempty"`
	EndsAfterLeast *Seconds `json:"ends_after_least_seconds,omitempty"`
	EndsAfterMost  *Seconds `json:"ends_after_most_seconds,omitempty"`
	Pad            *Seconds `json:"pad_seconds,omitempty"`
	// Sliding says that each unit counts for a period from its use, Doubtful that
	// one answer raises the last fall again, Gate that there is no quota and the
	// bucket only cools down.
	Sliding  bool `json:"sliding"`
	Doubtful bool `json:"doubtful"`
	Gate     bool `json:"gate"`
}

// Evidence is one report and what the broker made of it.
type Evidence struct {
	// HeardAgo is the time since it came, GrantedAgo since its call was granted.
	HeardAgo   *Seconds `json:"heard_ago_seconds,omitempty"`
	GrantedAgo *Seconds `json:"granted_ago_seconds,omitempty"`
	// Caller is who reported; empty when it gave no name.
	Caller string `json:"caller,omitempty"`
	// Verdict is "passed", "refused" or "overloaded".
	Verdict string `json:"verdict"`
	// Quota and Remaining are the numbers it told; 0 and -1 when not.
	Quota     int64 `json:"quota"`
	Remaining int64 `json:"remaining"`
	// ResetAfterLeast and ResetAfterMost bound the time from when it came until
	// the reset that it told; nil when it told none.
	ResetAfterLeast *Seconds `json:"reset_after_least_seconds,omitempty"`
	ResetAfterMost  *Seconds `json:"reset_after_most_seconds,omitempty"`
	// Effect is what the broker made of it, in a few words.
	Effect string `json:"effect"`
}

// Waiter is one caller that waits.
type Waiter struct {
	// Caller is its name; empty when it gave none.
	Caller string `json:"caller,omitempty"`
	// Priority is "critical", "high", "normal" or "background".
	Priority string `json:"priority"`
	// Waited is for how long.
	Waited *Seconds `json:"waited_seconds,omitempty"`
}

func explanation(in *pb.ExplainResponse) Explanation {
	x := Explanation{Shadow: in.GetShadow(), Buckets: []Bucket{}}
	if d := in.GetDenied(); d != nil {
		x.Denied = &Denial{Reason: d.GetReason(), Limit: d.GetLimit(), Bucket: d.GetBucket(), RetryAfter: seconds(d.GetRetryAfter())}
	}
	for _, b := range in.GetBuckets() {
		x.Buckets = append(x.Buckets, bucket(b))
	}
	return x
}

func bucket(in *pb.BucketExplanation) Bucket {
	b := Bucket{
		Quota: quota(in.GetStatus()), Model: model(in.GetModel()),
		Evidence: []Evidence{}, Ahead: []Waiter{}, AheadCount: in.GetAheadCount(),
	}
	for _, e := range in.GetEvidence() {
		b.Evidence = append(b.Evidence, Evidence{
			HeardAgo: seconds(e.GetHeardAgo()), GrantedAgo: seconds(e.GetGrantedAgo()), Caller: e.GetCaller(),
			Verdict: verdict(e.GetVerdict()), Quota: e.GetLimit(), Remaining: e.GetRemaining(),
			ResetAfterLeast: seconds(e.GetResetAfterLeast()), ResetAfterMost: seconds(e.GetResetAfterMost()),
			Effect: e.GetEffect(),
		})
	}
	for _, w := range in.GetAhead() {
		b.Ahead = append(b.Ahead, Waiter{Caller: w.GetCaller(), Priority: priority(w.GetPriority()), Waited: seconds(w.GetWaited())})
	}
	return b
}

func model(in *pb.BucketModel) Model {
	return Model{
		Confirmed: in.GetConfirmed(), ConfirmedAgo: seconds(in.GetConfirmedAgo()),
		Uncovered: in.GetUncovered(), Counted: in.GetCounted(), Held: in.GetHeld(),
		BeganAgo: seconds(in.GetBeganAgo()), EndsAfterLeast: seconds(in.GetEndsAfterLeast()),
		EndsAfterMost: seconds(in.GetEndsAfterMost()), Pad: seconds(in.GetPad()),
		Sliding: in.GetSliding(), Doubtful: in.GetDoubtful(), Gate: in.GetGate(),
	}
}

func verdict(v pb.Verdict) string {
	switch v {
	case pb.Verdict_VERDICT_REFUSED:
		return "refused"
	case pb.Verdict_VERDICT_OVERLOADED:
		return "overloaded"
	default:
		return "passed"
	}
}

func priority(p pb.Priority) string {
	switch p {
	case pb.Priority_PRIORITY_CRITICAL:
		return "critical"
	case pb.Priority_PRIORITY_HIGH:
		return "high"
	case pb.Priority_PRIORITY_BACKGROUND:
		return "background"
	default:
		return "normal"
	}
}
