package client

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
)

// maxRevocations is how many revocations of one application are remembered for
// permits that are still on their way.
const maxRevocations = 256

// watch follows the revocations of one application of one API. It knows every
// permit that may still be sent, and makes void those that are revoked. A nil
// watch guards nothing: the permit's own time bounds it.
type watch struct {
	application
	set  *watches
	stop context.CancelFunc

	// These three are guarded by set.mu: how many acquires hold the watch, since
	// when none has, and the timer that then ends it.
	holds     int
	idleSince time.Time
	idle      *time.Timer

	mu      sync.Mutex
	permits map[*Permit]struct{}
	// revoked is what came of late, oldest first; a permit may arrive after the
	// revocation that makes it void.
	revoked []*pb.Revocation
	// floor is the greatest generation of a revocation that had to be forgotten:
	// without knowing whom it covered, it covers everyone.
	floor uint64
}

// guard makes p void as soon as it is revoked, or at once if it has been.
func (w *watch) guard(p *Permit) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.generation < w.floor {
		p.revoke("by one of many revocations")
		return
	}
	for _, r := range w.revoked {
		if voids(r, p) {
			p.revoke(r.GetReason())
			return
		}
	}
	w.permits[p] = struct{}{}
	context.AfterFunc(p.unsent, func() { w.forget(p) })
}

// forget is for a permit that can no longer be sent.
func (w *watch) forget(p *Permit) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.permits, p)
}

// revoke makes void what a revocation covers, and remembers it. One of another
// application, which a watch without a name for its own hears too, counts
// generations of its own.
func (w *watch) revoke(r *pb.Revocation) {
	if app := r.GetScope().GetApp(); app != "" && app != w.app {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range w.permits {
		if voids(r, p) {
			p.revoke(r.GetReason())
		}
	}
	if len(w.revoked) == maxRevocations {
		w.floor = max(w.floor, w.revoked[0].GetGeneration())
		w.revoked = w.revoked[1:]
	}
	w.revoked = append(w.revoked, r)
}

// voids reports whether r makes p void.
func voids(r *pb.Revocation, p *Permit) bool {
	return p.generation < r.GetGeneration() && p.scope.covered(r.GetScope())
}

// begin forgets what an earlier stream said: the broker may be another one by
// now, whose generations begin anew.
func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.revoked, w.floor = nil, 0
}

// run keeps a stream open until ctx ends.
func (w *watch) run(ctx context.Context) {
	for try := 0; ; try++ {
		w.begin()
		if w.follow(ctx) {
			try = 0
		}
		if !sleep(ctx, pause(try, 0)) {
			return
		}
	}
}

// follow reads one stream to its end, and reports whether anything came.
func (w *watch) follow(ctx context.Context) (heard bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := w.set.stub.WatchQuota(ctx, &pb.WatchQuotaRequest{
		Scope:  &pb.Scope{Api: w.api, App: w.app},
		Caller: w.set.caller,
	}, grpc.WaitForReady(true))
	if err != nil {
		return false
	}
	for {
		changes, err := stream.Recv()
		if err != nil {
			return heard
		}
		heard = true
		for _, r := range changes.GetRevocations() {
			w.revoke(r)
		}
	}
}

// release ends the hold that watches.hold gave.
func (w *watch) release() {
	if w != nil {
		w.set.release(w)
	}
}
