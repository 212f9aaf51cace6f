// Package scoreboard plays scenarios against strategies, seed by seed and on all
// cores, and shows what came of it: as a table, as JSON, and as the scoreboard in
// the README of package simulate.
//
// What it shows is the same for the same plan, however many cores there are.
package scoreboard
