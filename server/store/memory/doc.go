// Package memory is a store that lives and dies with its process: for tests, and
// for a broker that may forget. Its README says what that costs.
package memory
