package quotahttp_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/client/quotahttp"
	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
)

// fetch sends one GET and returns its response.
func fetch(t *testing.T, w *world, opts ...quotahttp.Option) *http.Response {
	t.Helper()
	resp, err := w.transport(opts...).RoundTrip(request(t, "GET", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// reportedBody is the excerpt in the only report.
func reportedBody(t *testing.T, w *world) string {
	t.Helper()
	w.reported()
	if n := len(w.Reports()); n != 1 {
		t.Fatalf("%d reports", n)
	}
	return string(w.Reports()[0].GetBodyExcerpt())
}

func TestExcerptLeavesTheBodyWhole(t *testing.T) {
	for _, size := range []int{0, 1, client.MaxBodyExcerpt - 1, client.MaxBodyExcerpt, client.MaxBodyExcerpt + 1, 100_000} {
		whole := strings.Repeat("0123456789", size/10+1)[:size]
		upstream := func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, whole)
		}
		inWorld(t, upstream, func(t *testing.T, w *world) {
			resp := fetch(t, w)
			defer resp.Body.Close()
			if got := reportedBody(t, w); got != whole[:min(size, client.MaxBodyExcerpt)] {
				t.Errorf("%d bytes: reported %d", size, len(got))
			}
			if got := read(t, resp); got != whole {
				t.Errorf("%d bytes: the caller read %d", size, len(got))
			}
			if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || err == nil {
				t.Errorf("read after Close: %d, %v", n, err)
			}
		})
	}
}

func TestExcerptOnlyWhereItIsWanted(t *testing.T) {
	up, _ := script(200)
	inWorld(t, up, func(t *testing.T, w *world) {
		resp := fetch(t, w)
		defer resp.Body.Close()
		read(t, resp)
		if got := reportedBody(t, w); got != "" {
			t.Errorf("of a 200: %q", got)
		}
	})
	inWorld(t, up, func(t *testing.T, w *world) {
		w.Ask(pb.ReportBody_REPORT_BODY_ALWAYS)
		resp := fetch(t, w)
		defer resp.Body.Close()
		read(t, resp)
		if got := reportedBody(t, w); got != "OK" {
			t.Errorf("of everything: %q", got)
		}
	})
}

// TestSlowBodyIsNotWaitedFor: what is there in time is reported, and the caller
// reads the rest as it comes.
func TestSlowBodyIsNotWaitedFor(t *testing.T) {
	upstream := func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTooManyRequests)
		for _, s := range []string{"first,", "second,", "third"} {
			_, _ = io.WriteString(w, s)
			_ = http.NewResponseController(w).Flush()
			time.Sleep(200 * time.Millisecond)
		}
	}
	inWorld(t, upstream, func(t *testing.T, w *world) {
		began := time.Now()
		resp := fetch(t, w)
		defer resp.Body.Close()
		if got := time.Since(began); got != 250*time.Millisecond {
			t.Errorf("the caller had the response after %v", got)
		}
		if got := reportedBody(t, w); got != "first,second," {
			t.Errorf("reported %q", got)
		}
		if got := read(t, resp); got != "first,second,third" {
			t.Errorf("the caller read %q", got)
		}
	})
}

// TestCloseEndsAReadAhead that would never come to an end.
func TestCloseEndsAReadAhead(t *testing.T) {
	upstream := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	inWorld(t, upstream, func(t *testing.T, w *world) {
		resp := fetch(t, w)
		defer resp.Body.Close() // again, which is harmless
		body := resp.Body
		reading := make(chan error, 1)
		go func() {
			_, err := body.Read(make([]byte, 1))
			reading <- err
		}()
		synctest.Wait()
		if err := body.Close(); err != nil {
			t.Error(err)
		}
		if err := <-reading; err == nil {
			t.Error("a read that was under way found something")
		}
		if got := reportedBody(t, w); got != "" {
			t.Errorf("reported %q", got)
		}
	})
}

func TestErrorOfABodyReachesTheCaller(t *testing.T) {
	upstream := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, "cut sh")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	inWorld(t, upstream, func(t *testing.T, w *world) {
		resp := fetch(t, w)
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if string(got) != "cut sh" || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("read %q, %v", got, err)
		}
	})
}

// TestCompressedBody: what names the quota is found when the caller asked for
// compression itself, and the caller gets what it asked for.
func TestCompressedBody(t *testing.T) {
	plain := `{"message":"Resource level throttle APPLICATION DAY limit for calls to this resource is reached."}`
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, plain+strings.Repeat(" ", 1<<20))
	_ = z.Close()
	upstream := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = w.Write(packed.Bytes())
	}
	inWorld(t, upstream, func(t *testing.T, w *world) {
		req := request(t, "GET", "/", nil)
		req.Header.Set("Accept-Encoding", "gzip")
		resp, err := w.transport().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if got := reportedBody(t, w); !strings.HasPrefix(got, plain) || len(got) != client.MaxBodyExcerpt {
			t.Errorf("reported %d bytes: %.120q", len(got), got)
		}
		if got := read(t, resp); got != packed.String() {
			t.Errorf("the caller read other bytes than were sent")
		}
	})
	garbage := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, "not gzip")
	}
	inWorld(t, garbage, func(t *testing.T, w *world) {
		req := request(t, "GET", "/", nil)
		req.Header.Set("Accept-Encoding", "gzip")
		resp, err := w.transport().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if got := reportedBody(t, w); got != "" {
			t.Errorf("reported %q", got)
		}
		if got := read(t, resp); got != "not gzip" {
			t.Errorf("the caller read %q", got)
		}
	})
}

// TestContextOfAnAttemptEndsWithItsBody, and not before: nothing is left behind
// in a context that lasts for ever.
func TestContextOfAnAttemptEndsWithItsBody(t *testing.T) {
	for name, end := range map[string]func(io.ReadCloser){
		"read":  func(b io.ReadCloser) { _, _ = io.ReadAll(b) },
		"close": func(b io.ReadCloser) { _ = b.Close() },
	} {
		inWorld(t, nil, func(t *testing.T, w *world) {
			var sent *http.Request
			base := roundTripFunc(func(r *http.Request) (*http.Response, error) {
				sent = r
				return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("x"))}, nil
			})
			resp := fetch(t, w, quotahttp.WithBase(base))
			defer resp.Body.Close()
			if err := sent.Context().Err(); err != nil {
				t.Errorf("%s: ended while the body was open: %v", name, err)
			}
			end(resp.Body)
			if sent.Context().Err() == nil {
				t.Errorf("%s: still open", name)
			}
		})
	}
}
