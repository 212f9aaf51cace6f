package dialect

import (
	"slices"
	"testing"

	"github.com/quotabroker/quotabroker/server/quota"
)

func TestFree(t *testing.T) {
	d := Free(mustBuiltin(t, "auto"), 304, 429)
	for status, free := range map[int]bool{200: false, 304: true, 404: false, 429: false} {
		a := d.Read(answerOf(status, "X-RateLimit-Limit", "60", "X-RateLimit-Remaining", "58")).Answer
		if a.Free != free || len(a.Observations) != 1 {
			t.Errorf("%d: got %+v", status, a)
		}
		if status == 429 && a.Verdict != quota.Refused {
			t.Errorf("a refusal became %v", a.Verdict)
		}
	}
	if d.Name() != "auto" || d.Limits() != nil || len(d.Wants().Headers) == 0 {
		t.Errorf("the dialect itself is another: %s", d.Name())
	}
}

func TestFreeOfNothing(t *testing.T) {
	d := mustBuiltin(t, "ietf")
	if Free(d) != d || FreeStatuses(d) != nil {
		t.Error("no statuses made another dialect")
	}
	if got := FreeStatuses(Free(d, 304, 204)); !slices.Equal(got, []int{304, 204}) {
		t.Errorf("the statuses are %v", got)
	}
}
