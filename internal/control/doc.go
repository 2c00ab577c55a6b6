// Package control is how people and scripts talk to a manager that runs: HTTP with
// JSON bodies over a unix socket in its runtime directory.
//
//	GET  /v1/manager                                  who answers: Manager
//	GET  /v1/status                                   the fleet: Status
//	GET  /v1/quarantine                               suspect jobs: Quarantine
//	POST /v1/quarantine/release  {"handle": "H:a:1"}  or {"all": true}: Released
//	POST /v1/retry               {"function": "f"}    Retried
//
// Within /v1 fields are added, never changed or taken away; a field in a request
// that the manager does not know is an error, since it would not do what was asked.
// Every error is a [Failure] with a fitting status code.
//
// The user of the manager and root may talk to it. The kernel says who is at the
// other end of a socket. The directory of the socket keeps others away already.
//
// [Server] is the manager's side, [Client] the other one. A peer can hold its
// connections open, send garbage, or send nothing: while others wait, it costs one of
// [MaxConns] connections for a moment, and the fleet nothing.
package control
