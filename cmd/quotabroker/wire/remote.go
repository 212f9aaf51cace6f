package wire

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/quotabroker/quotabroker/client"
	"github.com/quotabroker/quotabroker/client/quotaadmin"
)

// Remote is a broker elsewhere.
type Remote struct {
	// Address is its host:port.
	Address string
	// CA is the PEM file of the authorities that sign its certificate; empty
	// means the system's.
	CA string
	// Cert and Key are the PEM files of the certificate to show it; both or
	// neither.
	Cert, Key string
}

// How soon a broker that answers nothing any more is taken for gone. It allows
// no more than one ping in 30 s.
const (
	pingEvery  = 45 * time.Second
	pongWithin = 10 * time.Second
)

// Link is connected to the broker, as soon as it is used. It speaks TLS, unless
// the address is on loopback and no file is given. The error names the flag.
func (r Remote) Link(opts ...client.Option) (*Link, error) {
	conn, err := r.dial()
	if err != nil {
		return nil, err
	}
	return &Link{client.New(conn, opts...), conn, nil}, nil
}

// Admin is connected in the same way, to ask as an operator. Close ends the
// connection.
func (r Remote) Admin() (admin *quotaadmin.Client, closeConn func() error, err error) {
	conn, err := r.dial()
	if err != nil {
		return nil, nil, err
	}
	return quotaadmin.New(conn), conn.Close, nil
}

func (r Remote) dial() (*grpc.ClientConn, error) {
	host, _, err := net.SplitHostPort(r.Address)
	if err != nil {
		return nil, fmt.Errorf("--broker: %q: write host:port, such as 127.0.0.1:7460", r.Address)
	}
	creds := insecure.NewCredentials()
	if !onLoopback(host) || r != (Remote{Address: r.Address}) {
		c, err := r.tls()
		if err != nil {
			return nil, err
		}
		creds = credentials.NewTLS(c)
	}
	conn, err := grpc.NewClient(r.Address, grpc.WithTransportCredentials(creds),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingEvery, Timeout: pongWithin}))
	if err != nil {
		return nil, fmt.Errorf("--broker: %q: %w", r.Address, err)
	}
	return conn, nil
}

func (r Remote) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS13}
	if r.CA != "" {
		pem, err := read("--broker-ca", r.CA)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--broker-ca: %q: no certificate in it: it must hold PEM certificates", r.CA)
		}
	}
	if r.Cert == "" && r.Key == "" {
		return c, nil
	}
	cert, err := read("--broker-cert", r.Cert)
	if err != nil {
		return nil, err
	}
	key, err := read("--broker-key", r.Key)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("--broker-key: %q: %w: it must be the PEM private key of the certificate in --broker-cert (%q)", r.Key, err, r.Cert)
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}

func read(flag, path string) ([]byte, error) {
	if path == "" {
		return nil, fmt.Errorf("%s: %q: give --broker-cert and --broker-key together", flag, path)
	}
	data, err := os.ReadFile(path)
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathErr.Err // the path is said already
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %q: %w: name a PEM file that can be read", flag, path, err)
	}
	return data, nil
}

// onLoopback reports whether only this machine can be meant.
func onLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}
