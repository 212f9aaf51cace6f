// Package clienttest is a broker in memory, for tests of programs that use
// package client. It speaks the real contract over an in-memory connection, so
// the client under test is the real one; what it decides is scripted.
//
//	b := clienttest.NewBroker()
//	defer b.Close()
//	c := client.New(b.Conn())
//	defer c.Close()
//
// Without a script it grants everything. [Broker.Deny], [Broker.Hold],
// [Broker.CoolDown] and [Broker.GoAway] make it refuse, wait and vanish;
// [Broker.Revoke] takes permits back that are out; [Broker.Acquires],
// [Broker.Reports] and [Broker.Releases] say what it was asked. It works inside
// a testing/synctest bubble when it is made there, and then needs no real time.
//
// It keeps no quotas. What a real broker would decide is for the real one to say.
package clienttest
