package simulate

import "time"

// Noise is what is wrong with an upstream's headers. The zero value is nothing.
type Noise struct {
	// Drop is the share of answers that come without any of the fields.
	Drop Share `yaml:"drop"`
	// Jitter moves each reset by up to so much, to either side.
	Jitter time.Duration `yaml:"jitter"`
	// Lagging is answers of nodes that have not heard of the last calls.
	Lagging Lagging `yaml:"lagging"`
	// Bogus is answers with values that nothing explains.
	Bogus Bogus `yaml:"bogus"`
}

// Lagging is upstream nodes that are behind.
type Lagging struct {
	Share Share `yaml:"share"`
	// By is how many of the calls before this one they have not heard of.
	By int64 `yaml:"by"`
}

// Bogus is a share of answers whose numbers are false, by one of the values, at
// random.
type Bogus struct {
	Share  Share        `yaml:"share"`
	Values []BogusValue `yaml:"values"`
}

// BogusValue is a way in which numbers are false.
type BogusValue string

// The false values.
const (
	// NothingLeft is a remaining of 0.
	NothingLeft BogusValue = "nothing_left"
	// HugeLimit is a limit of 10⁹ with all of it left.
	HugeLimit BogusValue = "huge_limit"
	// FarReset is a reset in ten years.
	FarReset BogusValue = "far_reset"
	// Negative is a remaining of -5.
	Negative BogusValue = "negative"
	// Overused is a limit far below what was used.
	Overused BogusValue = "overused"
	// NotANumber is a remaining of NaN.
	NotANumber BogusValue = "nan"
)

func (BogusValue) choices() []string {
	return []string{"nothing_left", "huge_limit", "far_reset", "negative", "overused", "nan"}
}

// farthest is ten years.
const farthest = 10 * 365 * 24 * time.Hour

func (u *Upstream) chance(s Share) bool { return s > 0 && u.random.Float64() < float64(s) }

func (u *Upstream) dropped() bool {
	if !u.chance(u.api.Noise.Drop) {
		return false
	}
	u.fired.HeadersDropped++
	return true
}

// noisy is what an answer says of a bucket.
func (u *Upstream) noisy(now int64, b *bucket) told {
	n := &u.api.Noise
	t := told{rule: b.rule, limit: b.rule.most(), left: max(0, b.meter.left(now)), resets: b.meter.resets(now)}
	if n.Lagging.By > 0 && u.chance(n.Lagging.Share) {
		u.fired.Lagging++
		t.left = min(t.limit, t.left+b.unheard(int(n.Lagging.By)))
	}
	if n.Jitter > 0 {
		u.fired.Jitter++
		t.resets = max(now, t.resets+int64(n.Jitter)-u.random.Int64N(2*int64(n.Jitter)+1))
	}
	if len(n.Bogus.Values) > 0 && u.chance(n.Bogus.Share) {
		u.fired.Bogus++
		t.falsify(n.Bogus.Values[u.random.IntN(len(n.Bogus.Values))], now)
	}
	return t
}

func (t *told) falsify(v BogusValue, now int64) {
	switch v {
	case NothingLeft:
		t.left = 0
	case HugeLimit:
		t.limit, t.left = 1_000_000_000, 1_000_000_000
	case FarReset:
		t.resets = now + int64(farthest)
	case Negative:
		t.left = -5
	case Overused:
		t.left = t.limit/10 - t.limit + t.left // as much used, of a tenth
		t.limit = max(1, t.limit/10)
	case NotANumber:
		t.nan = true
	}
}

// unheard is what the last n calls but the present one took.
func (b *bucket) unheard(n int) int64 {
	var sum int64
	last := b.recent[:max(0, len(b.recent)-1)]
	for _, cost := range last[max(0, len(last)-n):] {
		sum += cost
	}
	return sum
}
