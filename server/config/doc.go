// Package config reads the configuration file.
//
// The file is YAML, everything in it is optional, and nothing in it is
// ignored: an unknown or duplicate key, a second document, a value of the wrong
// type or outside its bounds is an error. All that is wrong with a file is
// reported together, each with its line, its column, the field, the value and
// the remedy. Anchors, aliases, merge keys and tags are not read: what a file
// says is what stands there.
//
// A [File] is read again when it changes, and [Changes] says in words what differs.
//
// Calendar windows name time zones. A program that may run where the system
// has no zone database imports time/tzdata.
package config
