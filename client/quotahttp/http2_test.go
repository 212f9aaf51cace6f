package quotahttp_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/client/clienttest"
	"github.com/quotabroker/quotabroker/client/quotahttp"
	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
)

// TestHTTP2 is the same over one connection for all, on loopback: a stream that
// breaks may have been sent, and nothing is left behind.
func TestHTTP2(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	upstream := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/break" {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, r.Proto)
	}))
	upstream.EnableHTTP2 = true
	upstream.StartTLS()
	defer upstream.Close()
	b := clienttest.NewBroker()
	defer b.Close()
	c := client.New(b.Conn())
	tr := quotahttp.New(c, "linkedin", quotahttp.WithBase(upstream.Client().Transport))
	send := func(method, path string) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), method, upstream.URL+path, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	resp, err := tr.RoundTrip(send(http.MethodPost, "/"))
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, resp); got != "HTTP/2.0" {
		t.Errorf("answered over %s", got)
	}
	if err := refused(t, tr, send(http.MethodPost, "/break")); err == nil {
		t.Error("answered")
	}
	tr.CloseIdleConnections()
	c.Close() // waits for the reports
	reports := b.Reports()
	if len(reports) != 2 || len(b.Releases()) != 0 {
		t.Fatalf("%d reports, %d releases", len(reports), len(b.Releases()))
	}
	byResult := map[pb.Result]*pb.ReportOutcomeRequest{}
	for _, r := range reports {
		byResult[r.GetResult()] = r
	}
	if r := byResult[pb.Result_RESULT_SENT]; r.GetStatusCode() != 429 || string(r.GetBodyExcerpt()) != "HTTP/2.0" {
		t.Errorf("of the answer: %v", r)
	}
	if byResult[pb.Result_RESULT_UNKNOWN] == nil {
		t.Errorf("the broken one is not reported as unknown: %v", reports)
	}
}
