// Package storetest says what a broker.Store must do, as tests that every engine
// runs whole: there are no options to leave any of them out.
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) broker.Store { return open(t) })
//	}
//
// Each behaviour is a function of its own, for an engine's author who wants to
// run one under a debugger. It is given a store that is empty.
package storetest
