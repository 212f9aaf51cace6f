package quotaadmin

import pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"

// Score compares a broker's decisions on the calls to an API in shadow mode with
// what the upstream did.
type Score struct {
	// API is its name.
	API string `json:"api"`
	// KeptFor is the time since the first call that counts, or since the limits
	// were configured anew.
	KeptFor *Seconds `json:"kept_for_seconds,omitempty"`
	// Safe says that nothing speaks against letting the broker decide, and Advice
	// why, in one line.
	Safe   bool   `json:"safe"`
	Advice string `json:"advice"`
	// Counts has each call once.
	Counts
	// Limits are the counts by limit, the most wrong first.
	Limits []LimitScore `json:"limits"`
}

// Counts are calls by what the broker would have done and what the upstream did.
type Counts struct {
	// GrantedTaken would have been granted, and the upstream took them.
	GrantedTaken int64 `json:"granted_taken"`
	// GrantedRefused would have been granted, and the upstream refused them.
	GrantedRefused int64 `json:"granted_refused"`
	// HeldTaken would have been held back, and the upstream took them.
	HeldTaken int64 `json:"held_taken"`
	// HeldRefused would have been held back, and the upstream refused them.
	HeldRefused int64 `json:"held_refused"`
	// HeldAtTurn would have been held back for a moment, to be sure that a window
	// had turned, and the upstream took them.
	HeldAtTurn int64 `json:"held_at_turn"`
}

// LimitScore is the counts of one limit.
type LimitScore struct {
	// Limit is its name; empty where nothing says whose refusal it was.
	Limit string `json:"limit"`
	Counts
	// Configured and Told are its quota as configured and as the upstream told it
	// last, where that is smaller; otherwise 0. The broker keeps to the smaller one.
	Configured int64 `json:"configured,omitempty"`
	Told       int64 `json:"told,omitempty"`
}

func scores(in *pb.ListShadowScoresResponse) []Score {
	list := []Score{}
	for _, s := range in.GetScores() {
		score := Score{
			API: s.GetApi(), KeptFor: seconds(s.GetKeptFor()), Safe: s.GetSafe(), Advice: s.GetAdvice(),
			Counts: counts(s.GetCounts()), Limits: []LimitScore{},
		}
		for _, l := range s.GetLimits() {
			score.Limits = append(score.Limits, LimitScore{l.GetLimit(), counts(l.GetCounts()), l.GetConfigured(), l.GetTold()})
		}
		list = append(list, score)
	}
	return list
}

func counts(in *pb.ShadowCounts) Counts {
	return Counts{
		GrantedTaken: in.GetGrantedTaken(), GrantedRefused: in.GetGrantedRefused(),
		HeldTaken: in.GetHeldTaken(), HeldRefused: in.GetHeldRefused(), HeldAtTurn: in.GetHeldAtTurn(),
	}
}
