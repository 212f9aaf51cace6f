// Package agenda is what has to be done later in virtual time.
package agenda
