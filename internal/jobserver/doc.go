// Package jobserver is a Gearman job server inside the process: for the demo,
// for tests and for one box that wants no server of its own. It has the
// packets, the operator's text protocol and the behaviour of gearmand 1.1.20;
// jobs are kept in memory and are gone when the server stops.
//
// # Structure
//
//	listener → conn (a goroutine each: reads, performs)
//	             │  one request at a time under one lock
//	             ▼
//	           queue: functions, jobs, peers        no sockets, no goroutines
//	             │  answers
//	             ▼
//	           outbox of each peer                  written without the lock
//
// The queue is plain data. The lock around it is held for one request and never
// over a system call. Answers are appended to the outboxes of whom they are
// for; before a connection's goroutine would wait for more input, it writes the
// outboxes that its requests touched, so that a burst of requests leaves as one
// write for each peer. The write does not wait: what a socket does not take at
// once is left to a goroutine that lives as long as the backlog, and a peer that
// lets more than [Config.MaxPending] pile up is disconnected. A slow peer
// therefore never holds up another, and one that does not read its answers is
// not read from.
//
// # Jobs
//
//	          submit                grab              COMPLETE, FAIL, EXCEPTION
//	scheduled ──────▶ queued ────────────────▶ running ────────────────▶ gone
//	 (epoch)   due      ▲                         │
//	                    └───── worker lost ───────┘  (dropped after JobRetries)
//
// A job of the foreground whose last client leaves is dropped as long as it is
// queued. A queued job that is cancelled is dropped and its clients are told.
//
// # Where it differs from gearmand
//
// Answers are equal, packet by packet, to those of gearmand 1.1.20 but for its
// known faults. Each difference is written down, with its reason, beside the
// case of the conformance suite that shows it (package test/conformance).
package jobserver
