package server_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
	"github.com/quotabroker/quotabroker/server"
	"github.com/quotabroker/quotabroker/server/broker"
)

func TestOversizedMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := start(t, &fake{t: t}, server.Options{}).client()
		err := send(t, client, &pb.ReportOutcomeRequest{PermitId: "p", BodyExcerpt: make([]byte, 256<<10)})
		wantCode(t, err, codes.ResourceExhausted)
		// Just below that it is the field that is too large.
		err = send(t, client, &pb.ReportOutcomeRequest{PermitId: "p", BodyExcerpt: make([]byte, 255<<10)})
		wantCode(t, err, codes.InvalidArgument)
	})
}

func TestOversizedAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &fake{t: t, acquire: func(context.Context, broker.AcquireRequest) (broker.Acquired, error) {
			return broker.Acquired{Permit: broker.Permit{ID: strings.Repeat("p", 256<<10)}}, nil
		}}
		wantCode(t, send(t, start(t, b, server.Options{}).client(), ask()), codes.ResourceExhausted)
	})
}

func TestOversizedHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := start(t, &fake{t: t, acquire: grant}, server.Options{}).client()
		// The client learns the limit with the connection's settings.
		if err := send(t, client, ask()); err != nil {
			t.Fatal(err)
		}
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x-large", strings.Repeat("a", 16<<10))
		if _, err := client.AcquirePermit(ctx, ask()); err == nil || !strings.Contains(status.Convert(err).Message(), "16384") {
			t.Errorf("16 KiB of headers: %v, want the limit in the error", err)
		}
	})
}

// knock opens a raw connection that ends with the test.
func knock(t *testing.T, r *rig) net.Conn {
	t.Helper()
	conn, err := r.lis.DialContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// handshake makes the connection one of HTTP/2 and returns the server's
// settings.
func handshake(t *testing.T, conn net.Conn) (*http2.Framer, map[http2.SettingID]uint32) {
	t.Helper()
	framer := http2.NewFramer(conn, conn)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	frame, err := framer.ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	settings := map[http2.SettingID]uint32{}
	frame.(*http2.SettingsFrame).ForeachSetting(func(s http2.Setting) error {
		settings[s.ID] = s.Val
		return nil
	})
	return framer, settings
}

func TestSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, settings := handshake(t, knock(t, start(t, &fake{t: t}, server.Options{})))
		if got := settings[http2.SettingMaxConcurrentStreams]; got != 1024 {
			t.Errorf("%d streams, want 1024", got)
		}
		if got := settings[http2.SettingMaxHeaderListSize]; got != 16<<10 {
			t.Errorf("%d bytes of headers, want 16 KiB", got)
		}
	})
}

func TestSilentConnectionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := knock(t, start(t, &fake{t: t}, server.Options{}))
		began := time.Now()
		io.Copy(io.Discard, conn)
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("a connection that says nothing ends after %v, want 5s", took)
		}
	})
}

// goAway reads until the server sends the connection away, and answers its
// pings meanwhile if it should.
func goAway(t *testing.T, framer *http2.Framer, answerPings bool) *http2.GoAwayFrame {
	t.Helper()
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return nil
		}
		switch f := frame.(type) {
		case *http2.GoAwayFrame:
			return f
		case *http2.PingFrame:
			if answerPings && !f.IsAck() {
				if err := framer.WritePing(true, f.Data); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func TestConnectionsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		answerPings bool
		least, most time.Duration
	}{
		"dead": {false, 40 * time.Second, 40 * time.Second},
		"idle": {true, 15 * time.Minute, 15 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				framer, _ := handshake(t, knock(t, start(t, &fake{t: t}, server.Options{})))
				began := time.Now()
				goAway(t, framer, c.answerPings)
				if took := time.Since(began); took < c.least || took > c.most {
					t.Errorf("ended after %v, want %v to %v", took, c.least, c.most)
				}
			})
		})
	}
}

func TestOldConnectionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, &fake{t: t, acquire: wait}, server.Options{})
		client := r.client()
		began := time.Now()
		err := send(t, client, ask())
		wantCode(t, err, codes.Unavailable)
		// The library spreads the age by a tenth, so that not all come back at once.
		if took := time.Since(began); took < 27*time.Minute || took > 34*time.Minute {
			t.Errorf("a call of no end is cut off after %v, want 30 minutes, a tenth more or less, and 30 s", took)
		}
	})
}

func TestPingFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		framer, _ := handshake(t, knock(t, start(t, &fake{t: t}, server.Options{})))
		for range 10 {
			if err := framer.WritePing(false, [8]byte{}); err != nil && !errors.Is(err, io.ErrClosedPipe) {
				t.Fatal(err)
			}
		}
		bye := goAway(t, framer, true)
		if bye == nil || bye.ErrCode != http2.ErrCodeEnhanceYourCalm || !bytes.Contains(bye.DebugData(), []byte("too_many_pings")) {
			t.Errorf("a flood of pings ends in %v, want ENHANCE_YOUR_CALM", bye)
		}
	})
}

// TestPatientPings: a watcher that pings every 30 s with no call open is welcome.
func TestPatientPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		framer, _ := handshake(t, knock(t, start(t, &fake{t: t}, server.Options{})))
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 40 {
				time.Sleep(31 * time.Second)
				if err := framer.WritePing(false, [8]byte{}); err != nil {
					return
				}
			}
		}()
		began := time.Now()
		bye := goAway(t, framer, false)
		if took := time.Since(began); bye == nil || bye.ErrCode != http2.ErrCodeNo || took < 15*time.Minute {
			t.Errorf("sent away after %v with %v, want only for idleness", took, bye)
		}
		<-done
	})
}

// TestConnectionsAreBounded: one more than 4096 is not accepted until another
// has gone.
func TestConnectionsAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("4096 connections take some 100 MiB")
	}
	synctest.Test(t, func(t *testing.T) {
		r := start(t, &fake{t: t}, server.Options{})
		first := knock(t, r)
		for range 4095 {
			knock(t, r)
		}
		accepted := make(chan error, 1)
		go func() {
			conn, err := r.lis.DialContext(t.Context())
			if err == nil {
				err = conn.Close()
			}
			accepted <- err
		}()
		synctest.Wait()
		if len(accepted) > 0 {
			t.Error("connection 4097 is accepted")
		}
		first.Close()
		if err := <-accepted; err != nil {
			t.Error(err)
		}
	})
}
