// Package strategy is how others keep a fleet within an upstream's quotas: what
// the broker is measured against.
//
// Each strategy is the strong form of what is found in the field. One that needs
// to know the limits is told the true ones, quotas and windows' lengths, though no
// real one is: but not when the upstream's windows begin, because that is not
// configured anywhere. None has a central place but "central" and, of course, the
// clairvoyant; the others keep their state in each service apart.
package strategy
