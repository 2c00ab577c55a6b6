package php_test

import (
	"testing"

	"github.com/gearman-manager/gearman-manager/gearclient/geartest"
	"github.com/gearman-manager/gearman-manager/gearclient/wire"
	"github.com/gearman-manager/gearman-manager/plugins/php"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// TestBridgeOutlivesWorkerCode has jobs that leave behind what worker code may leave
// behind, or do what it may do: the worker answers, and performs the next one.
func TestBridgeOutlivesWorkerCode(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		function string
		answer   []geartest.Step
		failed   uint64
		printed  string
		logged   string
	}{
		"handlers taken away": {function: "handlers", answer: steps(completes("H:t:1", "restored"))},
		"exception":           {function: "throws", answer: excepts(t, "H:t:1", "RuntimeException", "jobs.php:"), failed: 1, logged: "job failed: RuntimeException"},
		"destructor throws":   {function: "bomb", answer: excepts(t, "H:t:1", "with a bomb"), failed: 1, logged: "after the job: RuntimeException: boom"},
		"object in the job":   {function: "hangs_on", answer: steps(completes("H:t:1", "hung")), logged: "after the job: RuntimeException: boom"},
		"output left open":    {function: "prints", answer: steps(completes("H:t:1", "printed")), printed: "printed by H:t:1\n"},
		"output callback":     {function: "prints_badly", answer: steps(completes("H:t:1", "printed")), printed: "x", logged: "no output"},
		"log":                 {function: "logs", answer: steps(completes("H:t:1", "logged")), logged: "a line"},
		"fork that returns":   {function: "forks", answer: steps(completes("H:t:1", "parent"))},
		"answers by itself": {function: "answers", answer: steps(
			completesAlone("H:t:1", "by itself"), asks,
		)},
		"fails":               {function: "fails", answer: steps(geartest.Expect(wire.WorkFail, "H:t:1"), asks), failed: 1},
		"keeps the job":       {function: "keeps", answer: steps(completes("H:t:1", "first"))},
		"its name":            {function: "worker", answer: steps(completes("H:t:1", workerName))},
		"errors as exception": {function: "strict", answer: steps(completes("H:t:1", "strict"))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asleep := newMoment()
			s := geartest.Start(t, speaks(
				registers("reverse", c.function), asks, assigns("H:t:1", c.function, "abc"), c.answer,
				assigns("H:t:2", "reverse", "def"), completes("H:t:2", "fed"),
				noJob, sleeps, asleep.steps(), asks, noJob, closes,
			))
			// Exceptions hold the arguments of functions in their trace.
			b := startBridge(t, at(s.Addr()), performing(c.function, "reverse"), set("zend.exception_ignore_args=0"))
			asleep.then(t, func() { b.drain(t) })
			b.leaves(t, 2, c.failed)
			if got := b.stdout.String(); got != c.printed {
				t.Errorf("printed %q, want %q", got, c.printed)
			}
			if c.logged != "" && !logged(b, c.logged) {
				t.Errorf("not in the log: %s", c.logged)
			}
			checkTraces(t, b)
		})
	}
}

// checkTraces: what called the worker's function is of no use to whoever wrote it.
func checkTraces(t *testing.T, b *bridge) {
	t.Helper()
	for _, l := range taken[*workerpb.Event_Log](b) {
		if a := l.Log.GetAttributes(); contains(l.Log.GetMessage(), "job failed: ") && len(a) > 1 && contains(a[1], `GearmanManager\Bridge\Worker`) {
			t.Errorf("trace of %q: %s", l.Log.GetMessage(), a[1])
		}
	}
}

// logged looks for a line of the log.
func logged(b *bridge, words string) bool {
	for _, l := range taken[*workerpb.Event_Log](b) {
		if contains(l.Log.GetMessage(), words) {
			return true
		}
	}
	return false
}

// TestBridgeKeepsErrorHandlersApart has worker code turn every error into an exception:
// its own do become some, those of the bridge, and of the loss of a server, do not. A
// file that is loaded later sets such a handler, too.
func TestBridgeKeepsErrorHandlersApart(t *testing.T) {
	t.Parallel()
	asleep, later := newMoment(), newMoment()
	s := geartest.Start(t,
		speaks(
			registers("undefined", "sized", "strict"), asks, assigns("H:t:1", "strict", ""), completes("H:t:1", "strict"),
			assigns("H:t:2", "undefined", ""), excepts(t, "H:t:2", "ErrorException", "nothing"),
			assigns("H:t:3", "sized", "20000000"), geartest.ExpectBytes([]byte("\x00REQ")), geartest.Reset(),
		),
		speaks(
			registers("undefined", "sized", "strict"), asks, assigns("H:t:4", "undefined", ""), excepts(t, "H:t:4", "ErrorException"),
			noJob, sleeps, asleep.steps(), asks, noJob, geartest.Expect(wire.CanDo, "later"), sleeps,
			wakes, asks, assigns("H:t:5", "later", ""), excepts(t, "H:t:5", "of the later file"),
			assigns("H:t:6", "sized", "20000000"), geartest.ExpectBytes([]byte("\x00REQ")), geartest.Reset(),
		),
		speaks(registers("undefined", "sized", "strict", "later"), idles, later.steps(), asks, noJob, closes),
	)
	functions := append([]*workerpb.Function{{
		Name: "later", Index: 4, Source: &workerpb.Source{File: dataFile(t, "later.php"), Symbol: "later"},
	}}, jobs("strict", "sized", "undefined")...)
	b := startBridge(t, at(s.Addr()), performing("strict", "sized", "undefined"))
	asleep.then(t, func() {
		b.tell(t, "set", &workerpb.Settings{Functions: &workerpb.FunctionList{Functions: functions}})
	})
	later.then(t, func() { b.drain(t) })
	b.leaves(t, 6, 3)
	if got := len(taken[*workerpb.Event_Undelivered](b)); got != 2 {
		t.Errorf("%d results were not delivered, want 2", got)
	}
}

// TestBridgeEndsWithWorkerCode has jobs that end the process: they are answered, and the
// manager knows.
func TestBridgeEndsWithWorkerCode(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		function, reason, text string
		code                   int
	}{
		"exit":         {"ends", "exit", "exit()", 0},
		"memory":       {"fatal", "fatal error", "Allowed memory size", 255},
		"exit in fork": {"fork_ends", "exit", "exit()", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := geartest.Start(t, speaks(
				registers(c.function), asks, assigns("H:t:1", c.function, "abc"), exceptsAlone(t, "H:t:1", c.text), closes,
			))
			b := startBridge(t, at(s.Addr()), performing(c.function))
			b.noisy = true
			if got := await[*workerpb.Event_Retiring](t, b).Retiring; got.GetReason() != c.reason || !contains(got.GetDetail(), c.text) {
				t.Errorf("retires: %v", got)
			}
			if got := await[*workerpb.Event_Left](t, b).Left.GetCounters(); got.GetDone() != 1 || got.GetFailed() != 1 {
				t.Errorf("left: %v", got)
			}
			b.exits(t, c.code)
		})
	}
}

// TestBridgeLeavesBeforeShutdownFunctions has a shutdown function that ends php in its
// own way, after everything has been said.
func TestBridgeLeavesBeforeShutdownFunctions(t *testing.T) {
	t.Parallel()
	asleep := newMoment()
	s := geartest.Start(t, speaks(
		registers("shutdown"), asks, assigns("H:t:1", "shutdown", ""), completes("H:t:1", "registered"),
		noJob, sleeps, asleep.steps(), asks, noJob, closes,
	))
	b := startBridge(t, at(s.Addr()), performing("shutdown"))
	asleep.then(t, func() { b.drain(t) })
	if got := await[*workerpb.Event_Left](t, b).Left.GetCounters(); got.GetDone() != 1 || got.GetFailed() != 0 {
		t.Errorf("left: %v", got)
	}
	_ = b.conn.CloseWrite()
	b.exits(t, 3)
}

// TestBridgeRefuses says why it cannot perform what it is to perform.
func TestBridgeRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ function, file, words string }{
		"no such function": {"nowhere", "jobs.php", "does not define what performs nowhere"},
		"exit":             {"exits", "exits.php", "a worker file ended the process"},
		"exception":        {"broken", "throws.php", "RuntimeException: not today in "},
		"syntax":           {"broken", "syntax.php", "syntax.php:"},
		"strict":           {"strictly", "strict.php", "ErrorException"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := launchBridge(t, php.EngineArgs())
			b.noisy = true
			f := jobs(c.function)
			f[0].Source.File = dataFile(t, c.file)
			b.tell(t, "run", &workerpb.RunRequest{Contract: 1, Worker: workerName, Functions: f, Slots: []*workerpb.Slot{{}}})
			line := <-b.lines
			if line.refused == nil || !contains(*line.refused, c.words) {
				t.Errorf("got %+v, want it refused: %s", line, c.words)
			} else if t.Failed() {
				t.Log(*line.refused)
			}
			_ = b.conn.CloseWrite()
			<-b.exited
		})
	}
}
