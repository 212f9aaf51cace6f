package dialect

// Builtin is the built-in dialect of that name; false when there is none.
func Builtin(name string) (Dialect, bool) {
	switch name {
	case "auto":
		return auto{}, true
	case "ietf":
		return ietf{}, true
	case "linkedin":
		return linkedin{}, true
	case "meta":
		return meta{}, true
	}
	return nil, false
}

// Names is the names of the built-in dialects, sorted.
func Names() []string { return []string{"auto", "ietf", "linkedin", "meta"} }
