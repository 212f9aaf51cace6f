package bolt

import (
	"encoding/hex"
	"errors"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"

	"github.com/quotabroker/quotabroker/server/quota"
)

// genRecord makes records with every field there is.
func genRecord(t *rapid.T) quota.Reservation {
	text := func(name string) string { return string(rapid.SliceOf(rapid.Byte()).Draw(t, name)) }
	number := func(name string) int64 { return rapid.Int64().Draw(t, name) }
	labels, err := quota.NewLabels(rapid.MapOfN(rapid.StringMatching("[a-z]{1,9}"), rapid.StringMatching("[^\\x00-\\x1f\\x7f-\\x9f]{0,9}"), 0, quota.MaxLabels).Draw(t, "labels"))
	if err != nil {
		t.Skip(err)
	}
	parts := rapid.SampledFrom([][]string{{"app"}, {"app", "user"}, {"app", "endpoint", "tenant"}, {"app", "a", "b", "c", "d"}}).Draw(t, "per")
	per, err := quota.NewParts(parts...)
	if err != nil {
		t.Fatal(err)
	}
	return quota.Reservation{
		Limit: text("limit"),
		Key:   quota.Scope{API: text("api"), App: text("app"), User: text("user"), Endpoint: text("endpoint"), Labels: labels},
		Began: number("began"), Lo: number("lo"), Hi: number("hi"),
		Quota: number("quota"), Provenance: quota.Provenance(rapid.IntRange(0, int(quota.Learned)).Draw(t, "provenance")),
		Per: per, Unit: text("unit"),
		Window: quota.Window{
			Kind: quota.WindowKind(rapid.IntRange(0, int(quota.Concurrent)).Draw(t, "kind")), Period: time.Duration(number("period")),
			Aligned: rapid.Bool().Draw(t, "aligned"), Unit: quota.CalendarUnit(rapid.IntRange(0, int(quota.Month)).Draw(t, "calendar")),
			FirstUse: rapid.Bool().Draw(t, "first use"), Counter: rapid.Bool().Draw(t, "counter"), Burst: number("burst"),
			Zone: rapid.SampledFrom([]*time.Location{nil, time.UTC, time.Local}).Draw(t, "zone"),
		},
		CoolUntil: number("until"), CoolReason: text("reason"), CoolTurns: rapid.Bool().Draw(t, "turns"),
		Found: quota.Window{
			Kind: quota.WindowKind(rapid.IntRange(0, int(quota.Concurrent)).Draw(t, "found kind")), Period: time.Duration(number("found period")),
			Aligned: rapid.Bool().Draw(t, "found aligned"), FirstUse: rapid.Bool().Draw(t, "found first use"), Burst: number("found burst"),
		},
		Governor: quota.Governor{Ceiling: number("ceiling"), Climb: time.Duration(number("climb")), RefusedAt: number("refused at")},
		Lesson: quota.Lesson{
			Confirmed: number("confirmed"), ConfirmedAt: number("confirmed at"), Full: number("full"),
			Watched: rapid.Bool().Draw(t, "watched"), Counted: number("counted"),
		},
		Cost: quota.CostLesson{
			Requests: number("requests"), Answers: number("answers"), Needed: number("needed"),
			Most: number("most"), Share: number("share"), Fell: number("fell"), Calls: number("calls"),
		},
		Reserved: number("reserved"), Settled: number("settled"), Final: rapid.Bool().Draw(t, "final"),
	}
}

// Every field comes back as it was; a field that is added to quota.Reservation
// and not here fails this.
func TestRecordRoundTrip(t *testing.T) {
	if n := reflect.TypeFor[quota.Reservation]().NumField(); n != 20 {
		t.Errorf("a reservation has %d fields: record and generate all of them", n)
	}
	rapid.Check(t, func(t *rapid.T) {
		want := genRecord(t)
		payload, err := encode(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decode(payload)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, %v, want %+v", got, err, want)
		}
	})
}

// What a later version adds is ignored, whatever its kind.
func TestUnknownFieldsAreIgnored(t *testing.T) {
	want := quota.Reservation{Limit: "day", Began: 7, Reserved: 9}
	payload, err := encode(want)
	if err != nil {
		t.Fatal(err)
	}
	payload = appendInt(payload, 100, -5)
	payload = appendText(payload, 101, "new")
	payload = protowire.AppendFixed64(protowire.AppendTag(payload, 102, protowire.Fixed64Type), 1)
	payload = protowire.AppendFixed32(protowire.AppendTag(payload, fieldSettled, protowire.Fixed32Type), 1)
	if got, err := decode(payload); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
}

// The bytes of a record are those of the format's first version: what was written
// once must be read for ever.
func TestRecordOfVersion1(t *testing.T) {
	labels, err := quota.NewLabels(map[string]string{"tenant": "t1"})
	if err != nil {
		t.Fatal(err)
	}
	per, err := quota.NewParts("app", "tenant")
	if err != nil {
		t.Fatal(err)
	}
	want := quota.Reservation{
		Limit: "day", Key: quota.Scope{API: "linkedin", App: "a", User: "u", Endpoint: "GET /v2", Labels: labels},
		Began: 1, Lo: 2, Hi: 3, Quota: 500, Provenance: quota.Told, Per: per, Unit: "points",
		Window:    quota.Window{Kind: quota.Calendar, Period: 4, Aligned: true, Unit: quota.Day, Zone: time.UTC},
		CoolUntil: 5, CoolReason: "429", Reserved: 60, Settled: 40, Final: true,
	}
	const version1 = "0a0364617912086c696e6b6564696e1a01612201752a07474554202f7632320674656e616e74320274313802400448065078585060" +
		"e80768047203617070720674656e616e747a06706f696e7473a8010ab20103343239b80102800104880108900102980104a20103555443"
	payload, err := encode(want)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(payload); got != version1 {
		t.Errorf("a record is now %s", got)
	}
	old, err := hex.DecodeString(version1)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decode(old); err != nil || got != want {
		t.Errorf("version 1 is read as %+v, %v", got, err)
	}
}

// A word that a later version may write is refused, not taken for another.
func TestUnknownWordsAreRefused(t *testing.T) {
	for _, n := range []protowire.Number{fieldProvenance, fieldWindowKind, fieldWindowUnit, fieldFoundKind} {
		for _, v := range []int64{-1, int64(quota.Concurrent) + 1, 255, 256, 1 << 40} {
			if _, err := decode(appendInt(nil, n, v)); !errors.Is(err, ErrCorrupt) {
				t.Errorf("field %d of %d: %v", n, v, err)
			}
		}
	}
}

// A sealed value under another key, or one that lost a byte, is found.
func TestSeal(t *testing.T) {
	value := seal([]byte("key"), []byte("payload"))
	if payload, _, err := unseal([]byte("key"), value); err != nil || string(payload) != "payload" {
		t.Errorf("got %q, %v", payload, err)
	}
	for _, tt := range []struct{ key, value []byte }{
		{[]byte("kez"), value}, {[]byte("ke"), value}, {[]byte("key"), value[1:]}, {[]byte("key"), value[:len(value)-1]}, {[]byte("key"), nil},
	} {
		if _, _, err := unseal(tt.key, tt.value); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%q of %q: %v", tt.key, tt.value, err)
		}
	}
}

// Whatever the bytes are, reading them ends; and what is read can be written, and
// is then read the same.
func FuzzDecode(f *testing.F) {
	for _, r := range []quota.Reservation{{}, {Limit: "day", Reserved: 5, Window: quota.Window{Zone: time.UTC}},
		{Limit: "costs\x1fday", Began: 7, Hi: 7, Provenance: quota.Learned, Cost: quota.CostLesson{Requests: 5, Answers: 9, Needed: 4, Most: -1, Share: 65, Fell: 1 << 62, Calls: 1 << 62}},
	} {
		payload, err := encode(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(payload)
	}
	f.Add([]byte{0x72, 0x00, 0x32, 0x01, 'a'})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decode(data)
		if err != nil {
			return
		}
		payload, err := encode(r)
		if err != nil {
			t.Fatalf("%+v: %v", r, err)
		}
		if again, err := decode(payload); err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("got %+v, %v, want %+v", again, err, r)
		}
	})
}
