package simulate

// Expect is what a good strategy achieves in a scenario. The zero value is
// nothing.
type Expect struct {
	// Refused is how many 429s there may be of ten thousand calls, less what Allow
	// forgives.
	Refused float64 `yaml:"refused"`
	// Allow is which 429s are not counted.
	Allow []Forgiven `yaml:"allow"`
	// Used is how much must be used of the contended windows of Limits, of all of
	// them when none is named, from each bucket's window number From, the first
	// whole one being 1.
	Used   Share    `yaml:"used"`
	Limits []string `yaml:"limits"`
	From   int64    `yaml:"from"`
	// Served is the share of all calls that must be served.
	Served Share `yaml:"served"`
	// Touched is the share of buckets that may see a 429 in a window from From on.
	Touched Share `yaml:"touched"`
}

// Forgiven is 429s that nobody is to blame for.
type Forgiven string

// The kinds of 429s that may be forgiven.
const (
	// ForgivenUnaware are those of calls that were sent before a refusal could be
	// known of.
	ForgivenUnaware Forgiven = "unaware"
	// ForgivenProbes are those of calls that were sent to find out.
	ForgivenProbes Forgiven = "probes"
	// ForgivenEarly are those in windows before From.
	ForgivenEarly Forgiven = "early"
)

func (Forgiven) choices() []string { return []string{"unaware", "probes", "early"} }
