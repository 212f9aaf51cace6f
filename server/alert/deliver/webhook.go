package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/quotabroker/quotabroker/server/alert"
)

const (
	// attemptWithin is how long one attempt may take.
	attemptWithin = 10 * time.Second
	// maxAnswer is how much of an answer is read, so that its connection can be
	// used again.
	maxAnswer = 64 << 10
)

// webhook is a sink that posts each notice in one of the forms.
type webhook struct {
	name    string
	address Address
	path    string
	refresh time.Duration
	form    func(n *alert.Notice, now time.Time) ([]byte, error)
	client  *http.Client
}

// WebhookOption changes a webhook.
type WebhookOption func(*webhook)

// WithTransport sends through another transport than a clone of
// [http.DefaultTransport].
func WithTransport(t http.RoundTripper) WebhookOption {
	return func(w *webhook) { w.client.Transport = t }
}

func newWebhook(name string, a Address, options []WebhookOption) *webhook {
	w := &webhook{name: name, address: a}
	w.client = &http.Client{
		// To follow would hand the notice to whom nobody named.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if t, ok := http.DefaultTransport.(*http.Transport); ok {
		w.client.Transport = t.Clone()
	}
	for _, o := range options {
		o(w)
	}
	return w
}

func (w *webhook) Name() string           { return w.name }
func (w *webhook) Refresh() time.Duration { return w.refresh }
func (w *webhook) Close()                 { w.client.CloseIdleConnections() }

func (w *webhook) Deliver(ctx context.Context, n *alert.Notice) error {
	body, err := w.form(n, time.Now())
	if err != nil {
		return &DeliveryError{Reason: err.Error(), Final: true}
	}
	ctx, cancel := context.WithTimeout(ctx, attemptWithin)
	defer cancel()
	request, err := w.request(ctx, n, body)
	if err != nil {
		return &DeliveryError{Reason: err.Error()}
	}
	response, err := w.client.Do(request)
	if err != nil {
		return &DeliveryError{Reason: "no answer: " + withoutURL(err).Error()}
	}
	// A body that cannot be read costs the connection, not the notice.
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer))
	_ = response.Body.Close()
	return judge(response, time.Now())
}

func (w *webhook) request(ctx context.Context, n *alert.Notice, body []byte) (*http.Request, error) {
	u, err := w.address.resolve()
	if err != nil {
		return nil, err
	}
	if w.path != "" {
		u = u.JoinPath(w.path)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the webhook's address cannot be used")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "quotabroker")
	request.Header.Set("Idempotency-Key", n.ID)
	return request, nil
}

// withoutURL is the error without the address, which package http puts before
// it.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// judge is nil for an answer that took the notice. Of what was refused, only
// what may be taken later is worth another try.
func judge(r *http.Response, now time.Time) error {
	f := &DeliveryError{Reason: fmt.Sprintf("the receiver answered %d", r.StatusCode)}
	switch code := r.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusTooManyRequests || code >= 500:
		f.After = retryAfter(r.Header.Get("Retry-After"), now)
	case code == http.StatusRequestTimeout || code == http.StatusTooEarly:
	default:
		f.Final = true
	}
	return f
}

// retryAfter reads seconds or a date; 0 for anything else.
func retryAfter(text string, now time.Time) time.Duration {
	if n, err := strconv.ParseInt(text, 10, 32); err == nil {
		return max(0, time.Duration(n)*time.Second)
	}
	if t, err := http.ParseTime(text); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}
