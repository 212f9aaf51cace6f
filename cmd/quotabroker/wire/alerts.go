package wire

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/quotabroker/quotabroker/server/alert/deliver"
	"github.com/quotabroker/quotabroker/server/broker"
	"github.com/quotabroker/quotabroker/server/config"
)

// alertsStopWithin is how long a stop waits for receivers of alerts: one that
// hangs must not keep the broker from ending.
const alertsStopWithin = 2 * time.Second

// alerts is what follows a broker and tells people; nil when nobody wants to be
// told anything.
type alerts struct{ *deliver.Service }

func startAlerts(b *broker.Broker, c config.Alerts, log *slog.Logger) (alerts, error) {
	if c.Settings.Silent() {
		return alerts{}, nil
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	sinks := []deliver.Sink{deliver.NewLog(log)}
	for _, w := range c.Webhooks {
		sink, err := newWebhook(w)
		if err != nil {
			return alerts{}, err
		}
		sinks = append(sinks, sink)
	}
	s, err := deliver.Start(deliver.Config{Broker: b, Settings: c.Settings, Sinks: sinks, Log: log})
	return alerts{s}, err
}

func newWebhook(w config.Webhook) (deliver.Sink, error) {
	address := deliver.InlineAddress(w.URL.Reveal())
	if w.URLFile != "" {
		address = deliver.FileAddress(w.URLFile)
	}
	if err := address.Check(); err != nil {
		return nil, fmt.Errorf("alerts.webhooks: %q: %w: correct its url or url_file", w.Name, err)
	}
	switch w.Kind {
	case "slack":
		return deliver.NewSlack(w.Name, address), nil
	case "alertmanager":
		return deliver.NewAlertmanager(w.Name, address), nil
	default:
		return deliver.NewJSON(w.Name, address), nil
	}
}

// stop tries what waits once more. What is not delivered then is in the log.
func (a alerts) stop(ctx context.Context) {
	if a.Service == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, alertsStopWithin)
	defer cancel()
	_ = a.Stop(ctx) // the end of the context; the log says what it cost
}
