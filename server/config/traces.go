package config

import (
	"net"
	"strconv"

	"github.com/goccy/go-yaml/ast"
)

// Traces is where the spans of calls are sent.
type Traces struct {
	// OTLP is the gRPC address of an OpenTelemetry collector, host:port; not empty.
	OTLP string
	// Plaintext speaks to it without TLS: always on loopback.
	Plaintext bool
	// Sample is the share of the traces that begin here which are sent, above 0
	// to 1; 0 means as the standard OTEL_ environment variables say, else all.
	Sample float64
}

func (v value) traces() *Traces {
	s, t := v.section("otlp", "sample", "plaintext"), &Traces{}
	s.need("otlp", "name the collector's gRPC address, such as 127.0.0.1:4317")
	if v, ok := s.get("otlp"); ok {
		t.OTLP = v.remoteAddress()
		t.Plaintext = onLoopback(t.OTLP)
	}
	if v, ok := s.get("sample"); ok {
		t.Sample = v.fraction()
	}
	if v, ok := s.get("plaintext"); ok {
		plain := v.truth()
		if t.Plaintext && !plain {
			v.fail("a collector on loopback is spoken to without TLS: leave this out")
		}
		t.Plaintext = plain
	}
	return t
}

// remoteAddress is a host:port that can be connected to.
func (v value) remoteAddress() string {
	text := v.address()
	if host, port, err := net.SplitHostPort(text); err == nil && (host == "" || port == "0") {
		v.fail("must name a host and a port to connect to, such as 127.0.0.1:4317")
		return ""
	}
	return text
}

// fraction is a number above 0, at most 1.
func (v value) fraction() float64 {
	switch v.node.(type) {
	case *ast.FloatNode, *ast.IntegerNode:
		if f, err := strconv.ParseFloat(v.node.GetToken().Value, 64); err == nil && 0 < f && f <= 1 {
			return f
		}
	}
	v.wrongType("must be a number above 0 to 1, such as 0.1")
	return 0
}
