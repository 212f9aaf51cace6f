package demo

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// answer is what the API said to one request.
type answer struct {
	status int
	header http.Header
}

// get makes one request for the job.
func get(ctx context.Context, c *http.Client, url string, j job) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s%s?start=%d&count=10", url, path, j.id), http.NoBody)
	if err != nil {
		return answer{}, err
	}
	r.Header.Set(userHeader, j.user)
	response, err := c.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }() // it is read to its end
	_, err = io.Copy(io.Discard, response.Body)
	return answer{response.StatusCode, response.Header}, err
}

// served reports whether the API served the request; false is a 429. An error is
// any other answer.
func (a answer) served() (bool, error) {
	switch a.status {
	case http.StatusOK:
		return true, nil
	case http.StatusTooManyRequests:
		return false, nil
	default:
		return false, fmt.Errorf("the demo's API answered %d", a.status)
	}
}

// reset is the reset that the answer tells, else the guide's 60 s.
func (a answer) reset() time.Duration {
	seconds, err := strconv.Atoi(a.header.Get("X-RateLimit-Reset"))
	if err != nil {
		seconds = 60
	}
	return time.Duration(seconds) * time.Second
}
