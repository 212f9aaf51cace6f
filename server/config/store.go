package config

// The engines.
const (
	// Bolt keeps reservations in a file of this process's.
	Bolt = "bolt"
	// Memory keeps them as long as the process lives.
	Memory = "memory"
)

// Store chooses an engine.
type Store struct {
	// Kind is [Bolt] or [Memory].
	Kind string
	// Path is the file of [Bolt], never empty then; empty for [Memory]. A
	// relative path starts at the process's working directory.
	Path string
}

// store is what the section changes of a store.
func (v value) store(st Store) Store {
	s := v.section("kind", "path")
	s.word("kind", &st.Kind, Bolt, Memory)
	s.text("path", &st.Path)
	if st.Kind == Memory {
		st.Path = ""
		if p, ok := s.get("path"); ok {
			p.fail("memory has no file: leave path out, or choose kind: bolt")
		}
	}
	return st
}
