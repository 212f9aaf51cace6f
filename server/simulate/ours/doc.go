// Package ours is the broker's own way to keep a fleet within its quotas, for a
// simulated run: the model of package quota, the dialects, and the queues, with
// the services, the network and the store around them simulated.
//
// It is given what an operator would have configured, and nothing of the truth.
// What it decides with is the same code that a broker runs; what it adds is what a
// broker has around it. A service's request, the broker's answer, reports and
// revocations take their time on the network. A permit that was revoked, or is not
// sent in time, is given back and asked for again, as the client does. Callers
// wait for as long as the scenario has patience.
package ours
