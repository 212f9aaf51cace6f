package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// TLS names the files of the server's certificates, all PEM. The zero value
// means no TLS.
type TLS struct {
	// Cert is the server's certificate, followed by its intermediates. Required.
	Cert string
	// Key is its private key. Required.
	Key string
	// ClientCA are the authorities that sign the callers' certificates. Given,
	// every client must present one of theirs; empty, none is asked for.
	ClientCA string
}

// load reads the files into a configuration that speaks TLS 1.3 only.
func (t TLS) load() (*tls.Config, error) {
	certPEM, err := readPEM("cert", t.Cert, "name the file of the server's certificate")
	if err != nil {
		return nil, err
	}
	keyPEM, err := readPEM("key", t.Key, "name the file of the private key of tls.cert")
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, tlsError("key", t.Key, fmt.Sprintf("it must be the PEM private key of the PEM certificate in tls.cert (%q)", t.Cert), err)
	}
	c := &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{pair},
		// A resumed session would skip the check of the client's certificate.
		SessionTicketsDisabled: true,
	}
	if t.ClientCA == "" {
		return c, nil
	}
	caPEM, err := readPEM("client_ca", t.ClientCA, "name the file of the authorities that sign client certificates")
	if err != nil {
		return nil, err
	}
	c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !c.ClientCAs.AppendCertsFromPEM(caPEM) {
		return nil, tlsError("client_ca", t.ClientCA, "it must hold PEM certificates", errors.New("no certificate in it"))
	}
	return c, nil
}

func readPEM(field, path, remedy string) ([]byte, error) {
	if path == "" {
		return nil, tlsError(field, path, remedy, errors.New("not set"))
	}
	data, err := os.ReadFile(path)
	if err == nil {
		return data, nil
	}
	// The path is in our own text already.
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathErr.Err
	}
	return nil, tlsError(field, path, remedy, err)
}

// tlsError names the field, its value, what is wrong and what to do. It is not
// a quota.FieldError because those cut the value short, and a path is of no use
// then.
func tlsError(field, path, remedy string, cause error) error {
	return fmt.Errorf("tls.%s: %q: %w: %s", field, path, cause, remedy)
}
