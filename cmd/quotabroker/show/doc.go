// Package show writes for people what a broker tells an operator: text for a
// terminal, of the values of package quotaadmin.
package show
