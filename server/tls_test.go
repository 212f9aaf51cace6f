package server_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	pb "github.com/quotabroker/quotabroker/gen/quotabroker/v1"
	"github.com/quotabroker/quotabroker/server"
	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/quota"
)

// authority signs certificates that are valid in the test's bubble.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, pool: x509.NewCertPool()}
	pair := a.issue(&x509.Certificate{Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.cert, a.key = pair.Leaf, pair.PrivateKey.(*ecdsa.PrivateKey)
	a.pool.AddCert(a.cert)
	return a
}

// issue signs a certificate, by itself as long as there is no authority.
func (a *authority) issue(c *x509.Certificate) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	parent, signer := c, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// write puts something in PEM into a file.
func write(t *testing.T, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), strings.ReplaceAll(kind, " ", "-"))
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// files are the files of a server for broker.test.
func (a *authority) files() server.TLS {
	a.t.Helper()
	pair := a.issue(&x509.Certificate{DNSNames: []string{"broker.test"}})
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		a.t.Fatal(err)
	}
	return server.TLS{Cert: write(a.t, "CERTIFICATE", pair.Leaf.Raw), Key: write(a.t, "PRIVATE KEY", key)}
}

// mutual are the same, for clients with a certificate of this authority.
func (a *authority) mutual() server.TLS {
	f := a.files()
	f.ClientCA = write(a.t, "CERTIFICATE", a.cert.Raw)
	return f
}

// trust are a client's credentials, with a certificate or without.
func (a *authority) trust(certs ...tls.Certificate) *tls.Config {
	return &tls.Config{RootCAs: a.pool, ServerName: "broker.test", Certificates: certs}
}

func TestTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		var caller string
		b := &fake{t: t, acquire: func(ctx context.Context, r broker.AcquireRequest) (broker.Acquired, error) {
			caller = r.Caller
			return grant(ctx, r)
		}}
		r := start(t, b, server.Options{TLS: a.files()}, tcp("192.0.2.7"))
		request := ask()
		request.Caller = "importer"
		if _, err := r.client(credentials.NewTLS(a.trust())).AcquirePermit(t.Context(), request); err != nil || caller != "importer" {
			t.Errorf("caller %q, %v, want the name it gave", caller, err)
		}
		_, err := listServices(t, r, grpc.WithTransportCredentials(credentials.NewTLS(a.trust())))
		wantCode(t, err, codes.Unimplemented)

		old := a.trust()
		old.MaxVersion = tls.VersionTLS12
		_, err = r.client(credentials.NewTLS(old)).AcquirePermit(t.Context(), ask())
		wantCode(t, err, codes.Unavailable)
		_, err = r.client().AcquirePermit(t.Context(), ask())
		wantCode(t, err, codes.Unavailable)
	})
}

func TestClientCertificateIsTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		var caller string
		b := &fake{t: t,
			acquire: func(ctx context.Context, r broker.AcquireRequest) (broker.Acquired, error) {
				caller = r.Caller
				return grant(ctx, r)
			},
			report: func(_ context.Context, r broker.ReportRequest) (broker.Reported, error) {
				caller = r.Caller
				return broker.Reported{}, nil
			},
			release: func(_ context.Context, c, _ string) error {
				caller = c
				return nil
			},
		}
		b.watch = func(quota.Scope) (*broker.Watcher, error) { return nil, broker.ErrClosed }
		r := start(t, b, server.Options{TLS: a.mutual()}, tcp("192.0.2.7"))
		uri := &url.URL{Scheme: "spiffe", Host: "example.org", Path: "/importer"}
		for _, c := range []struct {
			name string
			cert x509.Certificate
			want string
		}{
			{"URI first", x509.Certificate{URIs: []*url.URL{uri}, DNSNames: []string{"d"}, Subject: pkix.Name{CommonName: "c"}}, uri.String()},
			{"then DNS", x509.Certificate{DNSNames: []string{"one.test", "two.test"}, Subject: pkix.Name{CommonName: "c"}}, "one.test"},
			{"then common name", x509.Certificate{Subject: pkix.Name{CommonName: "c"}}, "c"},
			{"nobody", x509.Certificate{Subject: pkix.Name{Organization: []string{"o"}}}, ""},
			{"control characters", x509.Certificate{Subject: pkix.Name{CommonName: "a\nb"}}, ""},
			{"too long", x509.Certificate{Subject: pkix.Name{CommonName: long}}, ""},
		} {
			client := r.client(credentials.NewTLS(a.trust(a.issue(&c.cert))))
			for _, in := range ownedBy("somebody else") {
				caller = ""
				err := send(t, client, in)
				if caller != c.want {
					t.Errorf("%s: %T is %q's, want %q", c.name, in, caller, c.want)
				}
				if code := status.Code(err); c.want == "" && code != codes.Unauthenticated || c.want != "" && err != nil {
					t.Errorf("%s: %T: %v", c.name, in, err)
				}
			}
			if err := send(t, client, &pb.WatchQuotaRequest{}); c.want == "" && status.Code(err) != codes.Unauthenticated {
				t.Errorf("%s: watch: %v", c.name, err)
			}
		}
	})
}

func TestClientsWithoutTheRightCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, other := newAuthority(t), newAuthority(t)
		r := start(t, &fake{t: t}, server.Options{TLS: a.mutual()})
		for name, creds := range map[string]*tls.Config{
			"none":             a.trust(),
			"of somebody else": a.trust(other.issue(&x509.Certificate{DNSNames: []string{"importer.test"}})),
		} {
			if _, err := r.client(credentials.NewTLS(creds)).AcquirePermit(t.Context(), ask()); status.Code(err) != codes.Unavailable {
				t.Errorf("%s: %v, want Unavailable", name, err)
			}
		}
	})
}

func TestNoSessionIsResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		r := start(t, &fake{t: t, acquire: grant}, server.Options{TLS: a.mutual()})
		creds := a.trust(a.issue(&x509.Certificate{DNSNames: []string{"importer.test"}}))
		creds.ClientSessionCache = tls.NewLRUClientSessionCache(4)
		for range 2 {
			resumed := true
			creds.VerifyConnection = func(s tls.ConnectionState) error {
				resumed = s.DidResume
				return nil
			}
			conn := r.dial(grpc.WithTransportCredentials(credentials.NewTLS(creds)))
			if err := send(t, newClient(conn), ask()); err != nil {
				t.Fatal(err)
			}
			if resumed {
				t.Error("a session was resumed")
			}
		}
	})
}

func TestTLSFiles(t *testing.T) {
	a := newAuthority(t)
	good, other := a.mutual(), a.mutual()
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(garbage, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(t.TempDir(), strings.Repeat("deep/", 20)+"missing.pem")
	for _, c := range []struct {
		name  string
		files server.TLS
		want  []string
	}{
		{"no certificate", server.TLS{Key: good.Key}, []string{"tls.cert", "not set", "name the file of the server's certificate"}},
		{"no key", server.TLS{Cert: good.Cert}, []string{"tls.key", "not set", "name the file of the private key"}},
		{"authority alone", server.TLS{ClientCA: good.ClientCA}, []string{"tls.cert", "not set"}},
		{"certificate missing", server.TLS{Cert: missing, Key: good.Key}, []string{"tls.cert", missing, "no such file"}},
		{"key missing", server.TLS{Cert: good.Cert, Key: missing}, []string{"tls.key", missing, "no such file"}},
		{"authority missing", server.TLS{Cert: good.Cert, Key: good.Key, ClientCA: missing}, []string{"tls.client_ca", missing, "no such file"}},
		{"key of another certificate", server.TLS{Cert: good.Cert, Key: other.Key}, []string{"tls.key", other.Key, "does not match", good.Cert}},
		{"garbage for a certificate", server.TLS{Cert: garbage, Key: good.Key}, []string{"tls.key", garbage, "PEM"}},
		{"garbage for a key", server.TLS{Cert: good.Cert, Key: garbage}, []string{"tls.key", garbage, "PEM"}},
		{"garbage for an authority", server.TLS{Cert: good.Cert, Key: good.Key, ClientCA: garbage}, []string{"tls.client_ca", garbage, "PEM certificates"}},
		{"a directory", server.TLS{Cert: t.TempDir(), Key: good.Key}, []string{"tls.cert", "is a directory"}},
	} {
		_, err := server.New(&fake{t: t}, server.Options{TLS: c.files})
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q in it", c.name, err, want)
			}
		}
	}
	if _, err := server.New(&fake{t: t}, server.Options{TLS: good}); err != nil {
		t.Errorf("good files: %v", err)
	}
}
