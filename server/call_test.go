package server_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
	"github.com/quotabroker/quotabroker/server"
)

// TestRoutineCallsCostNoID: an id is made only for a call that has a line in the
// log, or an error that speaks of one.
func TestRoutineCallsCostNoID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log buffer
		atInfo := slog.New(slog.NewTextHandler(&log, nil))
		client := start(t, &fake{t: t, acquire: grant}, server.Options{Log: atInfo}).client()
		ids := func(ctx context.Context, in *pb.AcquirePermitRequest) []string {
			var header metadata.MD
			client.AcquirePermit(ctx, in, grpc.Header(&header))
			return header.Get("x-request-id")
		}
		if got := ids(t.Context(), ask()); len(got) != 0 || log.String() != "" {
			t.Errorf("a call as all are has id %q and the line %q, want neither", got, log.String())
		}
		given := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "id-1")
		if got := ids(given, ask()); len(got) != 1 || got[0] != "id-1" {
			t.Errorf("id-1 comes back as %q", got)
		}
		if got := ids(t.Context(), &pb.AcquirePermitRequest{}); len(got) != 1 || !strings.Contains(log.String(), "x-request-id="+got[0]) {
			t.Errorf("a mistake has id %q, want one that the log has:\n%s", got, log.String())
		}
	})
}
