package config_test

import (
	"testing"

	"github.com/quotabroker/quotabroker/server/config"
)

func TestTraces(t *testing.T) {
	for _, tt := range []struct {
		text string
		want config.Traces
	}{
		{"{otlp: otel.example.com:4317, sample: 1}", config.Traces{OTLP: "otel.example.com:4317", Sample: 1}},
		{"{otlp: 127.0.0.1:4317, sample: 0.001}", config.Traces{OTLP: "127.0.0.1:4317", Plaintext: true, Sample: 0.001}},
		{"{otlp: localhost:4317, plaintext: true}", config.Traces{OTLP: "localhost:4317", Plaintext: true}},
	} {
		t.Run(tt.text, func(t *testing.T) {
			c, err := config.Parse("f", []byte("traces: "+tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if *c.Traces != tt.want {
				t.Errorf("got %+v, want %+v", *c.Traces, tt.want)
			}
		})
	}
	if c := load(t, "working_traces.yaml"); *c.Traces != (config.Traces{OTLP: "otel.example.com:4317", Plaintext: true, Sample: 0.1}) {
		t.Errorf("got %+v", *c.Traces)
	}
	if c := config.Default(); c.Traces != nil {
		t.Errorf("the default sends traces to %+v", c.Traces)
	}
}
