// Package host is the manager's side of a worker process that speaks the
// contract of plugins/workerpb over hashicorp/go-plugin: it starts the program,
// shakes hands, runs it, and hands over what it tells.
//
// # What go-plugin does, and what it does not
//
// go-plugin sets the environment, reads the handshake line and makes the gRPC
// connection. Everything about the process is done by package supervisor, which
// go-plugin reaches through a runner of ours:
//
//	Host.Start ─► go-plugin ─► runner ─► supervisor ─► process
//	                 │                       │ one reaper
//	                 │ handshake line        ├─ fd 0: a pipe whose other end is held here
//	                 ▼                       └─ fd 1, 2: read by line ─► Launch.Output
//	          gRPC over a unix socket ─► Worker.Events, Worker.Go, Worker.Drain, …
//
// Only the first line of standard output is given to go-plugin; later ones are
// output like any other. Its client is never asked to kill a plugin, since that
// cuts running calls and then waits for two seconds.
//
// # Privacy
//
// There is no TLS: a plugin's socket lies in a directory of its own, of mode
// 0700, inside the runtime directory, which only the manager's user can enter.
// It is removed when the process has been reaped, for go-plugin leaves sockets
// behind after a kill. A plugin that offers another address is refused.
//
// # The end of a worker
//
// After a drain the worker says Left when every slot has left every server. Its
// process then waits for the end of its standard input, which [Worker.Release]
// closes. The kernel closes it too when the manager dies, so that a worker never
// outlives its manager by more than the job in hand. [Worker.Kill] kills the
// process group.
//
// However a worker ends, its events come first, then their channel is closed,
// then [Worker.Done].
package host
