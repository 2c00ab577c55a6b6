package php_test

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/gearclient/geartest"
	"github.com/gearman-manager/gearman-manager/gearclient/wire"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

func paused(names ...string) bridgeOption {
	return with(func(req *workerpb.RunRequest) { req.Paused = names })
}

func functions(all ...*workerpb.Function) *workerpb.Settings {
	return &workerpb.Settings{Functions: &workerpb.FunctionList{Functions: all}}
}

// TestBridgeBeginsPaused offers a function when it is resumed, with its priority.
func TestBridgeBeginsPaused(t *testing.T) {
	t.Parallel()
	asleep, resumed, over := newMoment(), newMoment(), newMoment()
	s := geartest.Start(t, speaks(
		registers("upper"), idles, asleep.steps(), asks, noJob, geartest.Expect(wire.CanDo, "reverse"), sleeps,
		resumed.steps(), asks, noJob, geartest.Expect(wire.CanDo, "same"), geartest.Expect(wire.CantDo, "upper"), geartest.Expect(wire.CanDo, "upper"),
		geartest.Expect(wire.CantDo, "reverse"), geartest.Expect(wire.CanDo, "reverse"), sleeps,
		over.steps(), asks, noJob, closes,
	))
	b := startBridge(t, at(s.Addr()), performing("reverse", "upper", "same"), paused("reverse", "same", "none"))
	asleep.then(t, func() { b.tell(t, "resume", &workerpb.FunctionNames{Names: []string{"reverse"}}) })
	resumed.then(t, func() { b.tell(t, "resume", &workerpb.FunctionNames{Names: []string{"same"}}) })
	over.then(t, func() { b.drain(t) })
	b.leaves(t, 0, 0)
}

// TestBridgeKeepsTheOrder has functions swap their priorities: what keeps its place is left alone.
func TestBridgeKeepsTheOrder(t *testing.T) {
	t.Parallel()
	asleep, changed := newMoment(), newMoment()
	s := geartest.Start(t, speaks(
		registers("throws", "same", "upper", "reverse"), idles, asleep.steps(), asks, noJob,
		geartest.Expect(wire.CantDo, "upper"), geartest.Expect(wire.CanDo, "upper"), sleeps, changed.steps(),
		asks, noJob, closes,
	))
	b := startBridge(t, at(s.Addr()), performing("reverse", "upper", "same", "throws"))
	asleep.then(t, func() { b.tell(t, "set", functions(jobs("upper", "reverse", "same", "throws")...)) })
	changed.then(t, func() { b.drain(t) })
	b.leaves(t, 0, 0)
}

// TestBridgePerformsWhatItWasGiven has a function taken away while the server hands out a
// job of it.
func TestBridgePerformsWhatItWasGiven(t *testing.T) {
	t.Parallel()
	asked := newMoment()
	s := geartest.Start(t, speaks(
		registers("upper", "reverse"), asks, asked.steps(), assigns("H:t:1", "reverse", "abc"),
		completesAlone("H:t:1", "cba"), geartest.Expect(wire.CantDo, "reverse"), asks,
		assigns("H:t:2", "upper", "abc"), completes("H:t:2", "ABC"), noJob, sleeps, rests,
	))
	b := startBridge(t, at(s.Addr()), performing("reverse", "upper"))
	asked.then(t, func() {
		b.tell(t, "set", functions(jobs("upper")...))
		b.sync(t)
	})
	await[*workerpb.Event_Idle](t, b)
}

// TestBridgeTakesItsFunctionsBack has one removed, and added again: it is not loaded twice.
func TestBridgeTakesItsFunctionsBack(t *testing.T) {
	t.Parallel()
	g := testutil.StartGearmand(t)
	b := startBridge(t, at(g.Addr()), performing("reverse", "upper"))
	await[*workerpb.Event_Ready](t, b)
	admin, client := jobtest.NewAdmin(t, g.Addr()), jobtest.NewClient(t, g.Addr())
	counts := func(name string, want int) {
		t.Helper()
		testutil.WaitFor(t, name, func() bool { return workersOf(t, admin, name) == want })
	}
	counts("reverse", 1)
	for range 3 {
		b.tell(t, "set", functions(jobs("upper")...))
		counts("reverse", 0)
		b.tell(t, "set", functions(jobs("reverse", "upper")...))
		counts("reverse", 1)
		counts("upper", 1)
		if got, err := client.Do(t.Context(), gearclient.Request{Function: "reverse", Workload: []byte("abc")}); string(got) != "cba" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
}

// workersOf is how many perform a function, as the server says.
func workersOf(t *testing.T, admin *gearclient.Admin, name string) int {
	t.Helper()
	all, err := admin.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.Function == name {
			return f.Workers
		}
	}
	return 0
}

// TestBridgePausesAll stays connected with nothing to offer, and does nothing; it serves when it
// may again, also after a pause in the middle of a job.
func TestBridgePausesAll(t *testing.T) {
	t.Parallel()
	g := testutil.StartGearmand(t)
	gate, open := gateFile(t)
	b := startBridge(t, at(g.Addr()), performing("reverse", "gate"), paused("reverse", "gate"))
	if !await[*workerpb.Event_Ready](t, b).Ready.GetRegistered() {
		t.Error("it is not registered")
	}
	admin, client := jobtest.NewAdmin(t, g.Addr()), jobtest.NewClient(t, g.Addr())
	names := &workerpb.FunctionNames{Names: []string{"reverse", "gate"}}
	b.sync(t)
	before := ticks(t, b.cmd.Process.Pid)
	result := make(chan error, 1)
	go func() {
		_, err := client.Do(t.Context(), gearclient.Request{Function: "reverse", Workload: []byte("abc")})
		result <- err
	}()
	select {
	case err := <-result:
		t.Errorf("a paused function was performed: %v", err)
	case <-time.After(300 * time.Millisecond): // for the worker to show that it spins
	}
	if spent := ticks(t, b.cmd.Process.Pid) - before; spent > 5 {
		t.Errorf("%d ticks of the processor in 0.3 s of nothing", spent)
	}
	if n := workersOf(t, admin, "reverse"); n != 0 {
		t.Errorf("%d workers", n)
	}
	b.tell(t, "resume", names)
	if err := testutil.Receive(t, "the job", result); err != nil {
		t.Error(err)
	}
	go func() {
		_, err := client.Do(t.Context(), gearclient.Request{Function: "gate", Workload: []byte(gate)})
		result <- err
	}()
	await[*workerpb.Event_Busy](t, b)
	testutil.WaitFor(t, "the job to begin", func() bool { return running(t, admin, "gate") == 1 })
	b.tell(t, "pause", names)
	open()
	if err := testutil.Receive(t, "the job in hand", result); err != nil {
		t.Error(err)
	}
	testutil.WaitFor(t, "the pause", func() bool { return workersOf(t, admin, "gate") == 0 && workersOf(t, admin, "reverse") == 0 })
	b.drain(t)
	b.leaves(t, 2, 0)
}

func running(t *testing.T, admin *gearclient.Admin, name string) int {
	t.Helper()
	all, err := admin.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.Function == name {
			return f.Running
		}
	}
	return 0
}

// ticks are what a process has used of the processor, in hundredths of a second.
func ticks(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return user + system
}

// TestBridgeChangesItsSlot takes another name, which it says when it asks next, and another
// record, where the job in hand does not stand.
func TestBridgeChangesItsSlot(t *testing.T) {
	t.Parallel()
	gate, open := gateFile(t)
	f, second, records := recordFile(t)
	first, err := f.Record(0)
	if err != nil {
		t.Fatal(err)
	}
	inJob, asleep, over := newMoment(), newMoment(), newMoment()
	s := geartest.Start(t, speaks(
		registers("reverse", "gate"), asks, assigns("H:t:1", "gate", gate), began("H:t:1"), inJob.steps(),
		geartest.Expect(wire.WorkComplete, "H:t:1", "open"), geartest.Expect(wire.SetClientID, "web1/jobs/7"), asks, noJob, sleeps, asleep.steps(),
		asks, noJob, geartest.Expect(wire.SetClientID, "web1/jobs/8"), sleeps, wakes, asks,
		assigns("H:t:2", "reverse", "abc"), completes("H:t:2", "cba"), noJob, sleeps, over.steps(), asks, noJob, closes,
	))
	b := startBridge(t, at(s.Addr()), performing("gate", "reverse"), records)
	slot := func(id string, record uint32) *workerpb.Settings {
		return &workerpb.Settings{Slots: &workerpb.SlotList{Slots: []*workerpb.Slot{{ClientId: id, Record: record}}}}
	}
	inJob.then(t, func() {
		b.tell(t, "set", slot("web1/jobs/7", 0))
		open()
	})
	asleep.then(t, func() {
		if a, b := first.Snapshot(), second.Snapshot(); a != (jobrecord.Snapshot{}) || b.Busy || b.Done != 1 {
			t.Errorf("after the first job: %+v, %+v", a, b)
		}
		b.tell(t, "set", slot("web1/jobs/8", 0))
	})
	over.then(t, func() {
		await[*workerpb.Event_Idle](t, b)
		if a, b := first.Snapshot(), second.Snapshot(); a.Done != 1 || a.Busy || b.Done != 1 {
			t.Errorf("after the second job: %+v, %+v", a, b)
		}
		b.drain(t)
	})
	b.leaves(t, 2, 0)
}

// TestBridgeRetiresAtOnce where a limit is set that it has reached already.
func TestBridgeRetiresAtOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits *workerpb.Limits
		reason string
	}{
		"runs":   {&workerpb.Limits{MaxRuns: 2}, "max_runs"},
		"fewer":  {&workerpb.Limits{MaxRuns: 1}, "max_runs"},
		"age":    {&workerpb.Limits{MaxLifetimeMs: 1}, "max_lifetime"},
		"memory": {&workerpb.Limits{MaxMemory: 1}, "max_memory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asleep := newMoment()
			s := geartest.Start(t, speaks(
				registers("reverse"), asks, assigns("H:t:1", "reverse", "abc"), completes("H:t:1", "cba"),
				assigns("H:t:2", "reverse", "abc"), completes("H:t:2", "cba"), noJob, sleeps, asleep.steps(), asks, noJob, closes,
			))
			b := startBridge(t, at(s.Addr()), limited(&workerpb.Limits{MaxRuns: 5}))
			asleep.then(t, func() { b.tell(t, "set", &workerpb.Settings{Limits: c.limits}) })
			if got := await[*workerpb.Event_Retiring](t, b).Retiring.GetReason(); got != c.reason {
				t.Errorf("it retires for %s", got)
			}
			b.leaves(t, 2, 0)
		})
	}
	t.Run("raised", func(t *testing.T) {
		t.Parallel()
		asleep := newMoment()
		s := geartest.Start(t, speaks(
			registers("reverse"), asks, assigns("H:t:1", "reverse", "abc"), completes("H:t:1", "cba"), noJob, sleeps, asleep.steps(),
			wakes, asks, assigns("H:t:2", "reverse", "abc"), completes("H:t:2", "cba"),
			assigns("H:t:3", "reverse", "abc"), completesAlone("H:t:3", "cba"), closes,
		))
		b := startBridge(t, at(s.Addr()), limited(&workerpb.Limits{MaxRuns: 2}))
		asleep.then(t, func() {
			b.tell(t, "set", &workerpb.Settings{Limits: &workerpb.Limits{MaxRuns: 3}})
			b.sync(t)
		})
		b.leaves(t, 3, 0)
	})
}

// TestBridgeChangesServersInAJob leaves a server with the answer, and is at another by then.
func TestBridgeChangesServersInAJob(t *testing.T) {
	t.Parallel()
	first, second := testutil.StartGearmand(t), testutil.StartGearmand(t)
	gate, open := gateFile(t)
	b := startBridge(t, at(first.Addr()), performing("gate", "reverse"))
	await[*workerpb.Event_Ready](t, b)
	old, young := jobtest.NewClient(t, first.Addr()), jobtest.NewClient(t, second.Addr())
	result := make(chan error, 1)
	go func() {
		_, err := old.Do(t.Context(), gearclient.Request{Function: "gate", Workload: []byte(gate)})
		result <- err
	}()
	await[*workerpb.Event_Busy](t, b)
	set := func(list ...*workerpb.Server) {
		b.tell(t, "set", &workerpb.Settings{Servers: &workerpb.ServerList{Servers: list}})
	}
	all := servers(first.Addr(), second.Addr())
	set(all...)
	set(all[1])
	open()
	if err := testutil.Receive(t, "the job in hand", result); err != nil {
		t.Error(err)
	}
	if got := await[*workerpb.Event_Ready](t, b).Ready.GetServer(); got != second.Addr() {
		t.Errorf("ready at %s", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testutil.Patience)
	defer cancel()
	if _, err := young.Do(ctx, gearclient.Request{Function: "reverse", Workload: []byte("abc")}); err != nil {
		t.Error(err)
	}
	admin := jobtest.NewAdmin(t, first.Addr())
	testutil.WaitFor(t, "it to leave", func() bool { return workersOf(t, admin, "reverse") == 0 })
	b.drain(t)
	set(all...) // too late
	b.leaves(t, 2, 0)
}

// TestBridgeTellsOfSlowJobs once their answer is out, whatever it is.
func TestBridgeTellsOfSlowJobs(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t, speaks(
		registers("exits_slowly", "fails_slowly", "sleeps", "reverse"), asks, assigns("H:t:1", "reverse", "abc"), completes("H:t:1", "cba"),
		assigns("H:t:2", "sleeps", "30"), completes("H:t:2", "slept"),
		assigns("H:t:3", "fails_slowly", "30"), excepts(t, "H:t:3", "slept"),
		assigns("H:t:4", "sleeps", "0"), completes("H:t:4", "slept"),
		assigns("H:t:5", "exits_slowly", "30"), exceptsAlone(t, "H:t:5", "exit"), closes,
	))
	all := jobs("reverse", "sleeps", "fails_slowly", "exits_slowly")
	for _, f := range all {
		f.SlowMs = 20
	}
	b := startBridge(t, at(s.Addr()), with(func(req *workerpb.RunRequest) { req.Functions = all }))
	b.noisy = true
	for _, want := range []struct {
		handle, function string
		failed           bool
	}{{"H:t:2", "sleeps", false}, {"H:t:3", "fails_slowly", true}, {"H:t:5", "exits_slowly", true}} {
		got := await[*workerpb.Event_SlowJob](t, b).SlowJob
		id := got.GetJob()
		if id.GetServer() != s.Addr() || id.GetHandle() != want.handle || id.GetUnique() != "u" ||
			id.GetHash() != jobrecord.Hash(want.function, "u", []byte("30")) ||
			got.GetFunction() != want.function || got.GetFailed() != want.failed || got.GetTookMs() < 30 || got.GetWorkloadBytes() != 2 {
			t.Errorf("got %v, want %+v", got, want)
		}
	}
	b.leaves(t, 5, 2)
	if n := len(taken[*workerpb.Event_SlowJob](b)); n != 3 {
		t.Errorf("told of %d jobs", n)
	}
}

// TestBridgeIsToldWhatIsSlow has it set while it works.
func TestBridgeIsToldWhatIsSlow(t *testing.T) {
	t.Parallel()
	asleep := newMoment()
	s := geartest.Start(t, speaks(
		registers("sleeps"), asks, assigns("H:t:1", "sleeps", "30"), completes("H:t:1", "slept"), noJob, sleeps, asleep.steps(),
		asks, assigns("H:t:2", "sleeps", "30"), completesAlone("H:t:2", "slept"), asks, rests,
	))
	b := startBridge(t, at(s.Addr()), performing("sleeps"))
	asleep.then(t, func() {
		changed := jobs("sleeps")
		changed[0].SlowMs = 20
		b.tell(t, "set", functions(changed...))
	})
	if got := await[*workerpb.Event_SlowJob](t, b).SlowJob.GetJob().GetHandle(); got != "H:t:2" {
		t.Errorf("it tells of %s", got)
	}
}
