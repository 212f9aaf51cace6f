// Package quotaadmin asks a broker what it holds and why, as an operator does.
//
//	admin := quotaadmin.New(conn)
//	listing, err := admin.Quotas(ctx, quotaadmin.Query{Scope: client.Scope{API: "linkedin"}, Order: quotaadmin.ByUsed, Top: 10})
//
// A broker answers on loopback without TLS, and over TLS whoever shows a client
// certificate that it verifies. Nothing here changes anything, and no service
// needs it to make its calls: that is package client.
//
// All types marshal to JSON; keys are added, never changed. Durations are numbers
// of seconds there, and absent where they are not known.
package quotaadmin
