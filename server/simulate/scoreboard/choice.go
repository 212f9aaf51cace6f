package scoreboard

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/quotabroker/quotabroker/server/simulate"
	"github.com/quotabroker/quotabroker/server/simulate/strategy"
)

// Choice is what somebody asks to be played, in words.
type Choice struct {
	// Scenarios are names of those that come with the program, or files; All is
	// every one that comes with it.
	Scenarios []string
	All       bool
	// Variant is a variant's name, or a text that those have to contain.
	Variant string
	// Strategies are names, or "all".
	Strategies []string
	// Seeds is how often each is played.
	Seeds int
	// Read reads a file.
	Read func(path string) ([]byte, error)
}

// ChoiceError says which of the words is wrong, its value, and what would be right.
type ChoiceError struct{ Word, Value, Remedy string }

// Error is all three in one line.
func (e *ChoiceError) Error() string { return fmt.Sprintf("%s: %q: %s", e.Word, e.Value, e.Remedy) }

// mostSeeds keeps a slip of the finger from running for days.
const mostSeeds = 10_000

// Plan is what was asked for. The error is a [*ChoiceError], or says what is wrong
// with a file.
func (c *Choice) Plan() (*Plan, error) {
	p, err := c.PlanOf()
	if err != nil {
		return nil, err
	}
	if p.Variants, err = c.scenarios(); err != nil {
		return nil, err
	}
	had := names(p.Variants, func(s *simulate.Scenario) string { return s.Variant })
	chosen := func(name string) bool { return strings.Contains(name, c.Variant) }
	if c.Variant != "" && slices.Contains(had, c.Variant) {
		chosen = func(name string) bool { return name == c.Variant } // not those that have more to their names
	}
	p.Variants = slices.DeleteFunc(p.Variants, func(s *simulate.Scenario) bool { return !chosen(s.Variant) })
	if len(p.Variants) == 0 {
		return nil, &ChoiceError{"--variant", c.Variant, "no variant's name contains it: there are " + strings.Join(had, "; ")}
	}
	return p, nil
}

// PlanOf is the strategies and the seeds that were asked for, against scenarios of
// another origin.
func (c *Choice) PlanOf(scenarios ...*simulate.Scenario) (*Plan, error) {
	if c.Seeds < 1 || c.Seeds > mostSeeds {
		return nil, &ChoiceError{"--seeds", strconv.Itoa(c.Seeds), fmt.Sprintf("give 1 to %d", mostSeeds)}
	}
	strategies, err := c.strategies()
	if err != nil {
		return nil, err
	}
	return &Plan{Variants: scenarios, Strategies: strategies, Seeds: c.Seeds}, nil
}

func (c *Choice) strategies() ([]strategy.Strategy, error) {
	if slices.Equal(c.Strategies, []string{"all"}) {
		return strategy.All(), nil
	}
	chosen, err := strategy.Named(c.Strategies...)
	switch {
	case err != nil:
		return nil, &ChoiceError{"--strategy", strings.Join(c.Strategies, ","), err.Error()}
	case len(chosen) == 0:
		return nil, &ChoiceError{"--strategy", "", "name one, or all"}
	}
	return chosen, nil
}

// scenarios are the variants of what is named.
func (c *Choice) scenarios() ([]*simulate.Scenario, error) {
	builtins, err := simulate.Builtins()
	if err != nil {
		return nil, err
	}
	known := names(builtins, func(s *simulate.Scenario) string { return s.Name })
	switch {
	case c.All && len(c.Scenarios) > 0:
		return nil, &ChoiceError{"--all", strings.Join(c.Scenarios, " "), "name scenarios or ask for all of them, not both"}
	case c.All:
		return builtins, nil
	case len(c.Scenarios) == 0:
		return nil, &ChoiceError{"scenario", "", "name a .yaml file, or some of " + strings.Join(known, ", ") + "; or give --all"}
	}
	var chosen []*simulate.Scenario
	for _, name := range c.Scenarios {
		variants, err := c.scenario(name, builtins)
		switch {
		case err != nil:
			return nil, err
		case len(variants) == 0:
			return nil, &ChoiceError{"scenario", name, "there is no such one: name a .yaml file, or some of " + strings.Join(known, ", ")}
		}
		chosen = append(chosen, variants...)
	}
	return chosen, nil
}

// scenario is the variants of one; none when there is no such one.
func (c *Choice) scenario(name string, builtins []*simulate.Scenario) ([]*simulate.Scenario, error) {
	if ext := filepath.Ext(name); ext == ".yaml" || ext == ".yml" {
		data, err := c.Read(name)
		if err != nil {
			return nil, fmt.Errorf("scenario: %w", err)
		}
		return simulate.Parse(name, data)
	}
	return slices.DeleteFunc(slices.Clone(builtins), func(s *simulate.Scenario) bool { return s.Name != name }), nil
}

// names are those of scenarios or variants, each once.
func names(all []*simulate.Scenario, name func(*simulate.Scenario) string) []string {
	var once []string
	for _, s := range all {
		if n := name(s); !slices.Contains(once, n) {
			once = append(once, n)
		}
	}
	return once
}

// List shows the scenarios that come with the program, and the strategies.
func List(out io.Writer) error {
	builtins, err := simulate.Builtins()
	if err != nil {
		return err
	}
	var text strings.Builder
	text.WriteString("Scenarios:\n")
	for i, s := range builtins {
		if i == 0 || builtins[i-1].Name != s.Name {
			fmt.Fprintf(&text, "\n  %s: %s\n", s.Name, strings.TrimSpace(s.About))
		}
		if s.Variant != "" {
			fmt.Fprintf(&text, "    - %s\n", s.Variant)
		}
	}
	text.WriteString("\nStrategies:\n\n")
	for _, s := range strategy.All() {
		fmt.Fprintf(&text, "  %-12s %s\n", s.Name, s.About)
	}
	_, err = io.WriteString(out, text.String())
	return err
}

// Missed is what ours does not achieve of what is expected: the titles of the
// variants.
func Missed(rows []Row) []string {
	var missed []string
	for _, r := range rows {
		if r.Strategy == strategy.Ours && !r.Meets {
			missed = append(missed, title(r.Scenario, r.Variant))
		}
	}
	return missed
}
