package demo

import (
	"fmt"
	"math/rand/v2"
	"sort"
	"time"

	"github.com/quotabroker/quotabroker/server/simulate"
)

// Headers is what the API says of its quotas.
type Headers string

// The kinds of header.
const (
	// Guide is X-RateLimit-* fields with each answer, as guides to LinkedIn's API
	// print them.
	Guide Headers = "guide"
	// None is no field at all, as LinkedIn's own documentation has it: only the
	// text of a 429 names the quota that is spent. Windows begin at multiples of
	// their length in UTC, as those of a day do at midnight.
	None Headers = "none"
)

// Plan is what a run consists of. See [DefaultPlan].
type Plan struct {
	// Headers is what the API says of its quotas: [Guide] or [None].
	Headers Headers
	// Services is the number of services, Workers how many calls each of them
	// makes at a time, Users for how many members they do it.
	Services, Workers, Users int
	// Calls is the work of the whole fleet, Demand how many times the
	// application's quota falls due in a window.
	Calls  int
	Demand float64
	// Window is the length of both quotas' windows.
	Window time.Duration
	// AppQuota is the calls a window of all services together, MemberQuota of
	// each user.
	AppQuota, MemberQuota int64
	// Most is after what time the runs are ended, done or not, the wait for their
	// start included.
	Most time.Duration
}

// Latencies of the API: the same for the same call.
const (
	minLatency  = 40 * time.Millisecond
	latencyStep = 8 * time.Millisecond
	latencies   = 11
)

// DefaultPlan takes less than a minute, by headers as guides print them. The fleet
// comes late in a window of the application, stays for three whole ones, and
// could end early in the next. A member's quota is enough for its usual share of
// the traffic; a busy spell exceeds it.
func DefaultPlan() Plan {
	return Plan{
		Headers: Guide, Services: 8, Workers: 4, Users: 40, Calls: 1088, Demand: 1.5,
		Window: 10 * time.Second, AppQuota: 300, MemberQuota: 12,
		Most: 55 * time.Second,
	}
}

// due is when a call is wanted, after the start of the run: calls fall due evenly.
func (p Plan) due(id int) time.Duration {
	return time.Duration(float64(id) * float64(p.Window) / (p.Demand * float64(p.AppQuota)))
}

// dueBy is how many calls fall due before then.
func (p Plan) dueBy(then time.Duration) int {
	return sort.Search(p.Calls, func(id int) bool { return p.due(id) >= then })
}

// String says in three lines who wants what of whom.
func (p Plan) String() string {
	told := "Each answer says what is left."
	if p.Headers == None {
		told = "No answer says what is left, and the fleet comes with the next window."
	}
	return fmt.Sprintf(`%d services × %d workers for %d members want %.1f times what the API gives their application.
Its quotas: %d calls per %v for the application, %d for each member.
%s Two runs at once, %v at most.`,
		p.Services, p.Workers, p.Users, p.Demand, p.AppQuota, p.Window, p.MemberQuota, told, p.Most)
}

// starts is when the fleet comes, if the demo begins now: at once, or with the
// next window where that is known to everybody, as jobs do that wait for
// midnight.
func (p Plan) starts(now time.Time) time.Time {
	if p.Headers == None {
		return now.Add(p.Window - time.Duration(now.UnixNano()%int64(p.Window)))
	}
	return now
}

// phase is how far into the API's windows the fleet comes.
func (p Plan) phase() time.Duration {
	if p.Headers == None {
		return 0
	}
	return p.Window * 7 / 10
}

// limits are the quotas that the API enforces.
func (p Plan) limits(start time.Time) []simulate.Limit {
	if p.Headers == None {
		window := simulate.Shape{Fixed: p.Window}
		return []simulate.Limit{
			{Name: "app", Per: []string{"endpoint"}, Quota: p.AppQuota, Window: window},
			{Name: "member", Per: []string{"user", "endpoint"}, Quota: p.MemberQuota, Window: window},
		}
	}
	began := start.Add(-p.phase())
	return []simulate.Limit{
		{Name: "app", Quota: p.AppQuota, Window: simulate.Shape{Fixed: p.Window, Phase: time.Duration(began.UnixNano())}},
		{Name: "member", Per: []string{"user"}, Quota: p.MemberQuota, Window: simulate.Shape{Fixed: p.Window, From: simulate.FirstUse}},
	}
}

// job is one call of the work.
type job struct {
	id   int
	user string
	// due is when it is wanted, after the start of the run.
	due time.Duration
}

// latency is how long the API takes for it.
func (j job) latency() time.Duration { return minLatency + latencyStep*time.Duration(j.id%latencies) }

// work is each service's calls, the same every time.
func (p Plan) work() [][]job {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same numbers every time are what is wanted
	work := make([][]job, p.Services)
	for i := range p.Calls {
		user := fmt.Sprintf("member-%02d", random.IntN(p.Users)+1)
		work[i%p.Services] = append(work[i%p.Services], job{i, user, p.due(i)})
	}
	return work
}
