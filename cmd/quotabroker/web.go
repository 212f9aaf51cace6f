package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/quotabroker/quotabroker/server/config"
)

// webServer serves health and metrics: in plaintext on loopback, beyond it with
// the same certificates as the gRPC server, and the same demand for the
// clients'.
type webServer struct {
	*http.Server
	tls *config.TLS
}

func (w *webServer) serve(lis net.Listener) error {
	if w.tls == nil || lis.Addr().(*net.TCPAddr).IP.IsLoopback() {
		return w.Serve(lis)
	}
	w.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true}
	if w.tls.ClientCA != "" {
		pem, err := os.ReadFile(w.tls.ClientCA)
		if err != nil {
			return errors.Join(fmt.Errorf("tls.client_ca: %w", err), lis.Close())
		}
		w.TLSConfig.ClientCAs, w.TLSConfig.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
		// The gRPC server has refused a file without any by now.
		w.TLSConfig.ClientCAs.AppendCertsFromPEM(pem)
	}
	return w.ServeTLS(lis, w.tls.Cert, w.tls.Key)
}
