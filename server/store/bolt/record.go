package bolt

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/quotabroker/quotabroker/server/quota"
)

// The fields of a record. Labels are name, value, name, value, …; per is the
// names of the parts.
const (
	fieldLimit protowire.Number = iota + 1
	fieldAPI
	fieldApp
	fieldUser
	fieldEndpoint
	fieldLabels
	fieldBegan
	fieldLo
	fieldHi
	fieldReserved
	fieldSettled
	fieldQuota
	fieldProvenance
	fieldPer
	fieldUnit
	fieldWindowKind
	fieldWindowPeriod
	fieldWindowAligned
	fieldWindowUnit
	fieldWindowZone
	fieldCoolUntil
	fieldCoolReason
	fieldFinal
	fieldWindowFirstUse
	fieldWindowCounter
	fieldWindowBurst
	fieldConfirmed
	fieldConfirmedAt
	fieldFull
	fieldWatched
	fieldCounted
	fieldCoolTurns
	fieldCeiling
	fieldClimb
	fieldRefusedAt
	fieldFoundKind
	fieldFoundPeriod
	fieldFoundAligned
	fieldFoundFirstUse
	fieldFoundBurst
	fieldCostRequests
	fieldCostAnswers
	fieldCostNeeded
	fieldCostMost
	fieldCostShare
	fieldCostFell
	fieldCostCalls
)

// encode is the payload of a record. It fails for a time zone that could not be
// found by its name again.
func encode(r quota.Reservation) ([]byte, error) {
	b := make([]byte, 0, 192)
	b = appendText(b, fieldLimit, r.Limit)
	b = appendScope(b, r.Key)
	b = appendInt(b, fieldBegan, r.Began)
	b = appendInt(b, fieldLo, r.Lo)
	b = appendInt(b, fieldHi, r.Hi)
	b = appendInt(b, fieldReserved, r.Reserved)
	b = appendInt(b, fieldSettled, r.Settled)
	b = appendInt(b, fieldQuota, r.Quota)
	b = appendInt(b, fieldProvenance, int64(r.Provenance))
	if r.Per != (quota.Parts{}) {
		for _, name := range r.Per.Names() {
			b = appendItem(b, fieldPer, name)
		}
	}
	b = appendText(b, fieldUnit, r.Unit)
	b = appendInt(b, fieldCoolUntil, r.CoolUntil)
	b = appendText(b, fieldCoolReason, r.CoolReason)
	b = appendInt(b, fieldCoolTurns, number(r.CoolTurns))
	b = appendInt(b, fieldFinal, number(r.Final))
	b = appendGovernor(b, r.Governor)
	b = found().append(b, r.Found)
	b = appendLesson(b, r.Lesson)
	b = appendCost(b, r.Cost)
	return appendWindowOf(b, r.Window)
}

func appendScope(b []byte, s quota.Scope) []byte {
	b = appendText(b, fieldAPI, s.API)
	b = appendText(b, fieldApp, s.App)
	b = appendText(b, fieldUser, s.User)
	b = appendText(b, fieldEndpoint, s.Endpoint)
	for name, value := range s.Labels.All {
		b = appendItem(appendItem(b, fieldLabels, name), fieldLabels, value)
	}
	return b
}

func appendGovernor(b []byte, g quota.Governor) []byte {
	b = appendInt(b, fieldCeiling, g.Ceiling)
	b = appendInt(b, fieldClimb, int64(g.Climb))
	return appendInt(b, fieldRefusedAt, g.RefusedAt)
}

func appendLesson(b []byte, l quota.Lesson) []byte {
	b = appendInt(b, fieldConfirmed, l.Confirmed)
	b = appendInt(b, fieldConfirmedAt, l.ConfirmedAt)
	b = appendInt(b, fieldFull, l.Full)
	b = appendInt(b, fieldWatched, number(l.Watched))
	return appendInt(b, fieldCounted, l.Counted)
}

func appendCost(b []byte, c quota.CostLesson) []byte {
	b = appendInt(b, fieldCostRequests, c.Requests)
	b = appendInt(b, fieldCostAnswers, c.Answers)
	b = appendInt(b, fieldCostNeeded, c.Needed)
	b = appendInt(b, fieldCostMost, c.Most)
	b = appendInt(b, fieldCostShare, c.Share)
	b = appendInt(b, fieldCostFell, c.Fell)
	return appendInt(b, fieldCostCalls, c.Calls)
}

// windowFields are the fields of one of a record's windows, but for its zone; 0 for
// those that such a window has not.
type windowFields struct {
	kind, period, aligned, unit, firstUse, counter, burst protowire.Number
}

// declared are the fields of the window that a limit has, found those of the one that
// answers showed.
func declared() windowFields {
	return windowFields{
		fieldWindowKind, fieldWindowPeriod, fieldWindowAligned, fieldWindowUnit,
		fieldWindowFirstUse, fieldWindowCounter, fieldWindowBurst,
	}
}

func found() windowFields {
	return windowFields{
		kind: fieldFoundKind, period: fieldFoundPeriod, aligned: fieldFoundAligned,
		firstUse: fieldFoundFirstUse, burst: fieldFoundBurst,
	}
}

func (n windowFields) append(b []byte, w quota.Window) []byte {
	b = appendInt(b, n.kind, int64(w.Kind))
	b = appendInt(b, n.period, int64(w.Period))
	b = appendInt(b, n.aligned, number(w.Aligned))
	if n.unit != 0 {
		b = appendInt(b, n.unit, int64(w.Unit))
	}
	b = appendInt(b, n.firstUse, number(w.FirstUse))
	if n.counter != 0 {
		b = appendInt(b, n.counter, number(w.Counter))
	}
	return appendInt(b, n.burst, w.Burst)
}

// take is take for these fields.
func (n windowFields) take(w *quota.Window, f field) bool {
	switch f.number {
	case n.kind:
		w.Kind = quota.WindowKind(word(f))
	case n.period:
		w.Period = time.Duration(f.value)
	case n.aligned:
		w.Aligned = f.value != 0
	case n.unit:
		w.Unit = quota.CalendarUnit(word(f))
	case n.firstUse:
		w.FirstUse = f.value != 0
	case n.counter:
		w.Counter = f.value != 0
	case n.burst:
		w.Burst = f.value
	default:
		return false
	}
	return true
}

func appendWindowOf(b []byte, w quota.Window) ([]byte, error) {
	b = declared().append(b, w)
	if w.Zone == nil {
		return b, nil
	}
	if _, err := time.LoadLocation(w.Zone.String()); err != nil {
		return nil, fmt.Errorf("the window's time zone: %w", err)
	}
	return appendText(b, fieldWindowZone, w.Zone.String()), nil
}

func number(truth bool) int64 {
	if truth {
		return 1
	}
	return 0
}

// lists gathers what a payload has more than once.
type lists struct {
	per    []string
	labels []string
	zone   string
}

// decode reads a record's payload. It fails with ErrCorrupt for one that encode
// cannot have made, and for a time zone that this machine does not know.
func decode(payload []byte) (quota.Reservation, error) {
	var r quota.Reservation
	var l lists
	if err := eachField(payload, func(f field) { take(&r, &l, f) }); err != nil {
		return r, err
	}
	var err error
	if len(l.per) > 0 {
		if r.Per, err = quota.NewParts(l.per...); err != nil {
			return r, corrupt(err.Error())
		}
	}
	if r.Key.Labels, err = labelsOf(l.labels); err != nil {
		return r, err
	}
	if l.zone != "" {
		if r.Window.Zone, err = time.LoadLocation(l.zone); err != nil {
			return r, fmt.Errorf("a window's time zone: %w", err)
		}
	}
	return r, check(r)
}

// labelsOf makes labels of names and values in turn.
func labelsOf(list []string) (quota.Labels, error) {
	if len(list)%2 != 0 {
		return quota.Labels{}, corrupt("a label without a value")
	}
	m := make(map[string]string, len(list)/2)
	for i := 0; i < len(list); i += 2 {
		m[list[i]] = list[i+1]
	}
	labels, err := quota.NewLabels(m)
	if err != nil {
		return labels, corrupt(err.Error())
	}
	return labels, nil
}

// check reports numbers that stand for a word, and for none that is known.
func check(r quota.Reservation) error {
	if r.Provenance > quota.Learned || max(r.Window.Kind, r.Found.Kind) > quota.Concurrent || r.Window.Unit > quota.Month {
		return corrupt("a record has a word that this version does not know")
	}
	return nil
}

// take puts a field where it belongs; one that is not known is ignored.
func take(r *quota.Reservation, l *lists, f field) {
	if takeText(r, l, f) || declared().take(&r.Window, f) || found().take(&r.Found, f) ||
		takeLesson(&r.Lesson, f) || takeGovernor(&r.Governor, f) || takeCost(&r.Cost, f) {
		return
	}
	switch f.number { //nolint:exhaustive // a number that is not known is ignored
	case fieldBegan:
		r.Began = f.value
	case fieldLo:
		r.Lo = f.value
	case fieldHi:
		r.Hi = f.value
	case fieldReserved:
		r.Reserved = f.value
	case fieldSettled:
		r.Settled = f.value
	case fieldQuota:
		r.Quota = f.value
	case fieldProvenance:
		r.Provenance = quota.Provenance(word(f))
	case fieldCoolUntil:
		r.CoolUntil = f.value
	case fieldCoolTurns:
		r.CoolTurns = f.value != 0
	case fieldFinal:
		r.Final = f.value != 0
	}
}

// takeGovernor is take for the fields of a governor.
func takeGovernor(g *quota.Governor, f field) bool {
	switch f.number {
	case fieldCeiling:
		g.Ceiling = f.value
	case fieldClimb:
		g.Climb = time.Duration(f.value)
	case fieldRefusedAt:
		g.RefusedAt = f.value
	default:
		return false
	}
	return true
}

// takeCost is take for the fields of what calls were learned to take.
func takeCost(c *quota.CostLesson, f field) bool {
	switch f.number {
	case fieldCostRequests:
		c.Requests = f.value
	case fieldCostAnswers:
		c.Answers = f.value
	case fieldCostNeeded:
		c.Needed = f.value
	case fieldCostMost:
		c.Most = f.value
	case fieldCostShare:
		c.Share = f.value
	case fieldCostFell:
		c.Fell = f.value
	case fieldCostCalls:
		c.Calls = f.value
	default:
		return false
	}
	return true
}

// takeLesson is take for the fields of a lesson.
func takeLesson(l *quota.Lesson, f field) bool {
	switch f.number {
	case fieldConfirmed:
		l.Confirmed = f.value
	case fieldConfirmedAt:
		l.ConfirmedAt = f.value
	case fieldFull:
		l.Full = f.value
	case fieldWatched:
		l.Watched = f.value != 0
	case fieldCounted:
		l.Counted = f.value
	default:
		return false
	}
	return true
}

// word is a field's number that stands for a word, or the greatest there is.
func word(f field) uint8 {
	if f.value < 0 || f.value > 255 {
		return 255
	}
	return uint8(f.value)
}

// takeText is take for the fields that are texts.
func takeText(r *quota.Reservation, l *lists, f field) bool {
	switch f.number {
	case fieldLimit:
		r.Limit = f.text
	case fieldAPI:
		r.Key.API = f.text
	case fieldApp:
		r.Key.App = f.text
	case fieldUser:
		r.Key.User = f.text
	case fieldEndpoint:
		r.Key.Endpoint = f.text
	case fieldLabels:
		l.labels = append(l.labels, f.text)
	case fieldPer:
		l.per = append(l.per, f.text)
	case fieldUnit:
		r.Unit = f.text
	case fieldWindowZone:
		l.zone = f.text
	case fieldCoolReason:
		r.CoolReason = f.text
	default:
		return false
	}
	return true
}
