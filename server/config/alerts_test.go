package config_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/quotabroker/quotabroker/server/alert"
	"github.com/quotabroker/quotabroker/server/config"
)

func TestAlerts(t *testing.T) {
	got := load(t, "working_alerts.yaml").Alerts
	want := config.Alerts{
		Settings: alert.Settings{
			Thresholds: []alert.Share{alert.Percent(25), alert.Percent(10), 5},
			Others:     25,
			Users:      alert.ShowUsers,
			Rules:      []alert.Rule{alert.Remaining, alert.Cooldown, alert.Others},
			Limits: []alert.LimitSettings{
				{API: "linkedin", Limit: "member-day", Thresholds: []alert.Share{alert.Percent(20)}},
				{API: "linkedin", Limit: "app-day", Rules: []alert.Rule{}},
				{API: "other", Limit: "burst", Others: 999, Rules: []alert.Rule{alert.Forecast}},
			},
		},
		Webhooks: []config.Webhook{
			{Name: "slack-1", Kind: "slack", URL: config.NewSecret("https://hooks.slack.com/services/T0/B0/sesame")},
			{Name: "pager", Kind: "json", URLFile: "/run/secrets/pager"},
			{Name: "alertmanager-3", Kind: "alertmanager", URL: config.NewSecret("http://alertmanager:9093")},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	if a := config.Default().Alerts; !reflect.DeepEqual(a, config.Alerts{}) {
		t.Errorf("without a file: %+v", a)
	}
}

// A webhook's address is a secret: nothing that prints a configuration shows it.
func TestSecretIsNotShown(t *testing.T) {
	c := load(t, "working_alerts.yaml")
	encoded, err := json.Marshal(c.Alerts)
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	log := slog.New(slog.NewJSONHandler(&logged, nil))
	log.Info("configuration", "alerts", c.Alerts, "url", c.Alerts.Webhooks[0].URL)
	slog.New(slog.NewTextHandler(&logged, nil)).Info("configuration", "alerts", c.Alerts, "url", c.Alerts.Webhooks[0].URL)
	shown := []string{string(encoded), logged.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		shown = append(shown, fmt.Sprintf(verb, c.Alerts), fmt.Sprintf(verb, c.Alerts.Webhooks[0].URL), fmt.Sprintf(verb, &c.Alerts.Webhooks[0]))
	}
	for _, text := range shown {
		if strings.Contains(text, "sesame") {
			t.Errorf("shown: %s", text)
		}
	}
	if got := c.Alerts.Webhooks[0].URL.Reveal(); !strings.HasSuffix(got, "sesame") {
		t.Errorf("revealed: %q", got)
	}
}
