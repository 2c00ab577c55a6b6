// Package geartest is a scripted job server for tests of code that speaks
// Gearman's protocols. It does nothing by itself: a test writes down, step by
// step, what each connection expects and what it answers, so that a server can
// be late, wrong, half-way through a packet, or silent, exactly when the test
// wants it to be.
//
//	srv := geartest.Start(t, geartest.Conn(
//		geartest.Expect(wire.CanDo, "reverse"),
//		geartest.Expect(wire.GrabJob),
//		geartest.Send(wire.JobAssign, "H:test:1", "reverse", "abc"),
//		geartest.Expect(wire.WorkComplete, "H:test:1", "cba"),
//		geartest.ExpectClose(),
//	))
//	worker := start(srv.Addr())
//
// A deviation from the script (another packet, none within [StepTimeout], an
// early close) is reported to the test with all packets of that connection so
// far, and the connection is closed so that the code under test does not hang.
// When the test ends, scripts that have not run to their end, and connections
// that never came, are deviations too.
//
// [Start] listens on 127.0.0.1; [StartPipe] has no sockets at all, and so works
// within a bubble of testing/synctest.
//
// All functions that make steps only describe them; they may be called and
// their results shared by any goroutine.
package geartest
