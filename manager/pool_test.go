package manager

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

func TestPoolStartsItsWorkers(t *testing.T) {
	t.Parallel()
	plan := onePlan(10)
	plan.Concurrency, plan.Workers = 4, 3
	plan.MaxLifetime, plan.RestartSplay = time.Hour, time.Minute
	runPool(t, plan, nil, func(f *fakeFleet) {
		var ids []string
		records := map[uint32]bool{}
		for _, name := range []string{"resize/1", "resize/5", "resize/9"} {
			req := f.worker(name).request
			for _, s := range req.GetSlots() {
				ids = append(ids, s.GetClientId())
				records[s.GetRecord()] = true
			}
			if ms := req.GetLimits().GetMaxLifetimeMs(); ms != 61*60*1000 {
				t.Errorf("lifetime of %d ms, want an hour and the splay", ms)
			}
		}
		var want []string
		for n := range 10 {
			want = append(want, fmt.Sprintf("web1/resize/%d", n+1))
		}
		if diff := cmp.Diff(want, ids); diff != "" {
			t.Error(diff)
		}
		if len(records) != 10 {
			t.Errorf("%d records for 10 slots", len(records))
		}
	})
}

func TestIdlePoolSleeps(t *testing.T) {
	t.Parallel()
	runPool(t, onePlan(20), nil, func(f *fakeFleet) {
		pass(2 * time.Second)
		next, _ := ask(f.pool, f.pool.nextDeadline)
		if ping, _ := ask(f.pool, func() time.Time { return f.pool.pingAt }); !next.Equal(ping) || time.Until(next) > pingEvery {
			t.Errorf("an idle pool wakes up in %v, before workers are asked whether they are there", time.Until(next))
		}
	})
}

func TestCrashWithJob(t *testing.T) {
	t.Parallel()
	runPool(t, onePlan(2), nil, func(f *fakeFleet) {
		w := f.worker("resize/1")
		w.begin("H:a:1")
		pass(time.Second)
		w.crash(syscall.SIGSEGV)
		synctest.Wait()
		next := f.worker("resize/1")
		if next == w {
			t.Fatal("no successor at once")
		}
		suspects := next.request.GetSuspects()
		if len(suspects) != 1 || suspects[0].GetAttempts() != 1 || suspects[0].GetFail() {
			t.Errorf("the successor was told of %v", suspects)
		}
		if told := f.worker("resize/2").told; len(told) != 1 || told[0].GetJob().GetHandle() != "H:a:1" {
			t.Errorf("the neighbour was told of %v", told)
		}
		exits := seen[WorkerExited](f)
		if len(exits) != 1 || !exits[0].Crashed() || len(exits[0].InHand) != 1 || exits[0].InHand[0].Since != time.Second {
			t.Errorf("exits %+v", exits)
		}
		if s := f.status(); s.Failures != 0 {
			t.Errorf("%d failures: a death with a job is none", s.Failures)
		}
	})
}

func TestPoisonJob(t *testing.T) {
	t.Parallel()
	runPool(t, onePlan(1), nil, func(f *fakeFleet) {
		for range 3 {
			w := f.worker("resize/1")
			w.begin("H:a:1")
			pass(200 * time.Millisecond)
			w.crash(syscall.SIGSEGV)
			pass(200 * time.Millisecond)
		}
		s := f.worker("resize/1").request.GetSuspects()
		want := "given up after 3 of 3 attempts: worker resize/1 killed by SIGSEGV"
		if len(s) != 1 || !s[0].GetFail() || s[0].GetCause() != want {
			t.Errorf("suspects %v", s)
		}
	})
}

func TestRecordIsFreedAfterAllKnow(t *testing.T) {
	t.Parallel()
	runPool(t, onePlan(2), nil, func(f *fakeFleet) {
		w, neighbour := f.worker("resize/1"), f.worker("resize/2")
		neighbour.goDeaf()
		w.begin("H:a:1")
		synctest.Wait()
		w.crash(syscall.SIGSEGV)
		pass(time.Second)
		if s := f.record(w, 0).Snapshot(); !s.Busy {
			t.Error("the record is free while a worker has not heard of the job")
		}
		pass(callTimeout)
		if s := f.record(w, 0).Snapshot(); s.Busy {
			t.Error("the record is not free")
		}
		kills := seen[WorkerKilled](f)
		if len(kills) != 1 || kills[0].Worker != "resize/2" || kills[0].Reason != string(killUnresponsive) {
			t.Errorf("kills %+v", kills)
		}
	})
}

func TestFailingStarts(t *testing.T) {
	t.Parallel()
	var works atomic.Bool
	prepare := func(*fakeWorker) error {
		if !works.Load() {
			return errNoStart
		}
		return nil
	}
	runPool(t, onePlan(5), prepare, func(f *fakeFleet) {
		pass(60 * time.Second)
		at := func(i int) time.Duration { return f.tries[i] }
		// All at once, all again 0.1 s later, then one at a time.
		for i, want := range map[int]int64{4: 0, 5: 100, 9: 100, 10: 300, 11: 700, 12: 1500, 13: 3100} {
			if at(i).Milliseconds() != want {
				t.Errorf("try %d after %v, want %d ms", i, at(i), want)
			}
		}
		if last, before := at(len(f.tries)-1), at(len(f.tries)-2); last-before > backoffMost {
			t.Errorf("%v between two tries", last-before)
		}
		if s := f.states(); s[StateBackoff] != 5 {
			t.Errorf("states %v", s)
		}
		works.Store(true)
		for range int(backoffMost / (100 * time.Millisecond)) {
			pass(100 * time.Millisecond)
			if f.started() > 0 {
				break
			}
		}
		if n := f.started(); n != 1 {
			t.Errorf("%d workers started, want one that tries", n)
		}
		pass(time.Second)
		if s := f.states(); s[StateReady] != 5 {
			t.Errorf("states %v", s)
		}
		if s := f.status(); s.Failures != 0 {
			t.Errorf("%d failures after a success", s.Failures)
		}
	})
}

func TestQuickExits(t *testing.T) {
	t.Parallel()
	runPool(t, onePlan(3), nil, func(f *fakeFleet) {
		for range 3 {
			for _, name := range []string{"resize/1", "resize/2", "resize/3"} {
				f.worker(name).crash(syscall.SIGABRT)
			}
			synctest.Wait()
		}
		if s := f.status(); s.Failures != 1 || s.Workers[0].State != StateBackoff || s.Workers[0].LastExit != "killed by SIGABRT" {
			t.Errorf("status %+v", s)
		}
		pass(100 * time.Millisecond)
		if n := f.started(); n != 6 {
			t.Errorf("%d starts, want 6", n)
		}
	})
}

func TestRestartSpacing(t *testing.T) {
	t.Parallel()
	runPool(t, onePlan(1), nil, func(f *fakeFleet) {
		for range 250 { // whenever there is a worker: a job, then its end
			w := f.worker("resize/1")
			select {
			case <-w.done:
			default:
				w.begin("H:a:1")
				w.finish()
				synctest.Wait()
				w.crash(syscall.SIGTERM)
			}
			pass(10 * time.Millisecond)
		}
		if n, want := f.started(), 26; n != want {
			t.Errorf("%d starts in 2.5 s, want %d", n, want)
		}
	})
}

func TestRetire(t *testing.T) {
	t.Parallel()
	runPool(t, onePlan(1), nil, func(f *fakeFleet) {
		pass(time.Second)
		w := f.worker("resize/1")
		w.begin("H:a:1")
		w.stayBusy()
		w.retire("max_runs")
		synctest.Wait()
		next := f.worker("resize/2") // a number of its own
		if a, b := w.request.GetSlots()[0].GetRecord(), next.request.GetSlots()[0].GetRecord(); a == b {
			t.Errorf("both have record %d", a)
		}
		pass(10 * time.Minute) // far beyond its grace, which it does not have
		if s := f.states(); s[StateReady] != 1 || s[StateDraining] != 1 {
			t.Errorf("states %v", s)
		}
		w.finish()
		w.leave()
		synctest.Wait()
		exits := seen[WorkerExited](f)
		if len(exits) != 1 || exits[0].Retired != "max_runs" || exits[0].Crashed() || exits[0].Done != 1 {
			t.Errorf("exits %+v", exits)
		}
		if s := f.status(); len(s.Workers) != 1 || s.Done != 1 {
			t.Errorf("status %+v", s)
		}
	})
}

// TestManyRetire: where all workers retire at the same time, two have successors
// beside them, the others when they have left.
func TestManyRetire(t *testing.T) {
	t.Parallel()
	runPool(t, onePlan(5), nil, func(f *fakeFleet) {
		pass(time.Second)
		old := slices.Clone(f.workers)
		for _, w := range old {
			w.stayBusy()
			w.begin("H:" + w.name)
			w.retire("max_lifetime")
		}
		synctest.Wait()
		if n := f.started(); n != 7 {
			t.Errorf("%d workers started, want 7", n)
		}
		for _, w := range old {
			w.finish()
			w.leave()
		}
		synctest.Wait()
		if s := f.states(); s[StateReady] != 5 || len(s) != 1 {
			t.Errorf("states %v", s)
		}
	})
}

func TestWorkerThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	prepare := func(w *fakeWorker) error {
		w.stubborn = w.pid == 1000
		return nil
	}
	runPool(t, onePlan(1), prepare, func(f *fakeFleet) {
		w := f.worker("resize/1")
		w.retire("max_runs")
		w.leave()
		pass(releaseGrace - time.Second)
		if n := len(seen[WorkerKilled](f)); n != 0 {
			t.Errorf("%d kills too early", n)
		}
		pass(time.Second)
		if kills := seen[WorkerKilled](f); len(kills) != 1 || kills[0].Reason != string(killGrace) {
			t.Errorf("kills %+v", kills)
		}
	})
}

func timeoutPlan(onTimeout string) PoolPlan {
	plan := onePlan(2)
	plan.Functions[0].Timeout = 10 * time.Second
	plan.Functions[0].OnTimeout = onTimeout
	return plan
}

func TestTimeoutFail(t *testing.T) {
	t.Parallel()
	runPool(t, timeoutPlan(config.Fail), nil, func(f *fakeFleet) {
		w := f.worker("resize/1")
		for n := range 100 { // jobs that end in time
			w.begin(fmt.Sprintf("H:a:%d", n))
			pass(300 * time.Millisecond)
			w.finish()
		}
		w.begin("H:a:stuck")
		pass(10*time.Second + overdueSlack - time.Millisecond)
		if n := len(seen[WorkerKilled](f)); n != 0 {
			t.Fatalf("%d kills too early", n)
		}
		pass(time.Millisecond)
		if kills := seen[WorkerKilled](f); len(kills) != 1 || kills[0].Reason != string(killTimeout) {
			t.Fatalf("kills %+v", kills)
		}
		if told := f.worker("resize/2").told; len(told) != 1 || !told[0].GetFail() || told[0].GetAttempts() != 0 {
			t.Errorf("the neighbour was told of %v", told)
		}
		if s := seen[JobSuspected](f); len(s) != 1 || s[0].Handle != "H:a:stuck" || s[0].Cause != "it ran longer than its timeout of 10s" {
			t.Errorf("suspects %+v", s)
		}
	})
}

// TestDeathOfManyJobs: where several jobs die together nobody knows which did it.
// All are suspect, none has an attempt less.
func TestDeathOfManyJobs(t *testing.T) {
	t.Parallel()
	plan := onePlan(4)
	plan.Concurrency, plan.Workers = 4, 1
	runPool(t, plan, nil, func(f *fakeFleet) {
		w := f.worker("resize/1")
		w.begin("H:a:1")
		w.beginIn(2, "H:a:2")
		synctest.Wait()
		w.crash(syscall.SIGSEGV)
		synctest.Wait()
		for _, s := range f.worker("resize/1").request.GetSuspects() {
			if s.GetAttempts() != 0 || s.GetFail() {
				t.Errorf("suspect %v", s)
			}
		}
		if s := seen[JobSuspected](f); len(s) != 2 {
			t.Errorf("suspects %+v", s)
		}
	})
}

func TestTimeoutReissue(t *testing.T) {
	t.Parallel()
	runPool(t, timeoutPlan(config.Reissue), nil, func(f *fakeFleet) {
		f.worker("resize/1").begin("H:a:1")
		pass(11 * time.Second)
		if s := seen[JobSuspected](f); len(s) != 1 || s[0].Fail || s[0].Attempts != 1 {
			t.Errorf("suspects %+v", s)
		}
		if n := f.started(); n != 3 {
			t.Errorf("%d starts, want 3", n)
		}
	})
}

// TestTimeoutReissueIsToldFirst: all others know of a late job before its process is
// killed, and its end is not charged again.
func TestTimeoutReissueIsToldFirst(t *testing.T) {
	t.Parallel()
	runPool(t, timeoutPlan(config.Reissue), nil, func(f *fakeFleet) {
		w, other := f.worker("resize/1"), f.worker("resize/2")
		other.mu.Lock()
		other.deaf = true // it is waited for, though not for long
		other.mu.Unlock()
		w.begin("H:a:1")
		pass(10*time.Second + overdueSlack)
		if s, kills := seen[JobSuspected](f), seen[WorkerKilled](f); len(s) != 1 || s[0].Attempts != 1 || len(kills) != 0 {
			t.Errorf("suspects %+v, kills %+v", s, kills)
		}
		w.events <- &workerpb.Event{Event: &workerpb.Event_JobCrashed{JobCrashed: &workerpb.JobCrashed{ // late itself
			Job: &workerpb.JobID{Server: "a", Handle: "H:a:1", Hash: 7}, Function: "resize", Timeout: true,
		}}}
		pass(crashNews)
		if s, kills := seen[JobSuspected](f), seen[WorkerKilled](f); len(s) != 1 || len(kills) != 1 || kills[0].Reason != string(killTimeout) {
			t.Errorf("suspects %+v, kills %+v", s, kills)
		}
	})
}

// TestTimeoutBesideOtherJobs: a worker that keeps a late job until those beside it
// are done is killed only then.
func TestTimeoutBesideOtherJobs(t *testing.T) {
	t.Parallel()
	plan := timeoutPlan(config.Reissue)
	plan.Slots, plan.Concurrency, plan.Workers = 2, 2, 1
	runPool(t, plan, nil, func(f *fakeFleet) {
		w := f.worker("resize/1")
		w.beginIn(1, "H:a:late")
		pass(5 * time.Second)
		w.begin("H:a:innocent")
		pass(5 * time.Second)
		w.retire(retireTimeout)
		pass(4 * time.Second)
		if kills := seen[WorkerKilled](f); len(kills) != 0 {
			t.Fatalf("kills %+v", kills)
		}
		w.finish()
		pass(overdueSlack)
		if kills := seen[WorkerKilled](f); len(kills) != 1 || kills[0].Reason != string(killTimeout) {
			t.Fatalf("kills %+v", kills)
		}
		if s := seen[JobSuspected](f); len(s) != 1 || s[0].Handle != "H:a:late" || s[0].Attempts != 1 {
			t.Errorf("suspects %+v", s)
		}
	})
}

// TestDeathBeforeHello: a worker may get a job before its hello is heard. What dies
// then is charged like any other.
func TestDeathBeforeHello(t *testing.T) {
	t.Parallel()
	var starts atomic.Int32
	prepare := func(w *fakeWorker) error {
		if starts.Add(1) > 1 {
			return nil
		}
		w.fleet.record(w, 0).Begin(jobrecord.Job{Handle: "H:a:1", Hash: 7}, w.fleet.clock(), 10)
		return errNoStart
	}
	runPool(t, onePlan(1), prepare, func(f *fakeFleet) {
		pass(time.Second)
		if s := seen[JobSuspected](f); len(s) != 1 || s[0].Handle != "H:a:1" || s[0].Attempts != 1 || s[0].Cause != "no interpreter" {
			t.Errorf("suspects %+v", s)
		}
		if failed := seen[StartFailed](f); len(failed) != 1 || failed[0].Failures != 0 {
			t.Errorf("failed starts %+v", failed)
		}
		if told := f.worker("resize/1").request.GetSuspects(); len(told) != 1 {
			t.Errorf("the successor knows of %v", told)
		}
	})
}

// TestTimeoutBesideDeafWorker: a late job ends although another worker cannot be told
// of it.
func TestTimeoutBesideDeafWorker(t *testing.T) {
	t.Parallel()
	runPool(t, timeoutPlan(config.Fail), nil, func(f *fakeFleet) {
		deaf := f.worker("resize/2")
		deaf.goDeaf()
		f.worker("resize/1").begin("H:a:stuck")
		pass(10*time.Second + overdueSlack + crashNews)
		if kills := seen[WorkerKilled](f); len(kills) != 1 || kills[0].Worker != "resize/1" || kills[0].Reason != string(killTimeout) {
			t.Errorf("kills %+v", kills)
		}
	})
}

// TestTornRecord: a worker that died while it wrote its record ran no handler.
func TestTornRecord(t *testing.T) {
	t.Parallel()
	runPool(t, onePlan(1), nil, func(f *fakeFleet) {
		w := f.worker("resize/1")
		w.begin("H:a:1")
		file, err := os.OpenFile(f.pool.records.file.Path(), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = file.Close() }()
		at := int64(w.request.GetSlots()[0].GetRecord()) * jobrecord.Size
		if _, err := file.WriteAt([]byte{1, 0, 0, 0}, at); err != nil { // an odd version
			t.Fatal(err)
		}
		w.crash(syscall.SIGKILL)
		pass(time.Second)
		if s := seen[JobSuspected](f); len(s) != 0 {
			t.Errorf("suspects %+v", s)
		}
	})
}

// TestTimeoutOfAJobThatEnds: a late job that ends while the others are told of it
// costs its worker nothing, and neither does the next one.
func TestTimeoutOfAJobThatEnds(t *testing.T) {
	t.Parallel()
	runPool(t, timeoutPlan(config.Fail), nil, func(f *fakeFleet) {
		w, neighbour := f.worker("resize/1"), f.worker("resize/2")
		neighbour.goDeaf()
		w.begin("H:a:1")
		pass(10*time.Second + overdueSlack)
		if told := seen[JobSuspected](f); len(told) != 1 {
			t.Fatalf("suspects %+v", told)
		}
		w.finish()
		w.begin("H:a:2")
		pass(9 * time.Second)
		if kills := seen[WorkerKilled](f); len(kills) != 0 {
			t.Fatalf("kills %+v", kills)
		}
		pass(callTimeout)
		for _, k := range seen[WorkerKilled](f) {
			if k.Worker == "resize/1" && !strings.Contains(k.Detail, "H:a:2") {
				t.Errorf("killed: %+v", k)
			}
		}
	})
}

// TestRecordSeenInParts: a job that seems late because its record was just being
// written is not acted on.
func TestRecordSeenInParts(t *testing.T) {
	t.Parallel()
	runPool(t, timeoutPlan(config.Fail), nil, func(f *fakeFleet) {
		w := f.worker("resize/1")
		w.begin("H:a:1")
		synctest.Wait()
		type answer struct{ as, otherStart, otherBegun, ended int }
		got, _ := ask(f.pool, func() answer {
			of := f.pool.places[0].worker
			jobs := func(change func(*recordedJob)) []recordedJob {
				seen := f.pool.inHand(of)
				change(&seen[0])
				return seen
			}
			a := answer{
				as:         len(f.pool.still(of, jobs(func(*recordedJob) {}))),
				otherStart: len(f.pool.still(of, jobs(func(j *recordedJob) { j.start -= time.Minute }))),
				otherBegun: len(f.pool.still(of, jobs(func(j *recordedJob) { j.begun-- }))),
			}
			before := f.pool.inHand(of)
			w.finish()
			a.ended = len(f.pool.still(of, before))
			return a
		})
		if got != (answer{as: 1}) {
			t.Errorf("%+v", got)
		}
	})
}

// TestTimeoutOfTheWorker: a worker that deals with a timeout itself is not killed.
func TestTimeoutOfTheWorker(t *testing.T) {
	t.Parallel()
	runPool(t, timeoutPlan(config.Fail), nil, func(f *fakeFleet) {
		w := f.worker("resize/1")
		w.begin("H:a:1")
		pass(10 * time.Second)
		w.finish()
		w.retire(retireTimeout)
		w.leave()
		pass(time.Minute)
		if n := len(seen[WorkerKilled](f)) + len(seen[JobSuspected](f)); n != 0 {
			t.Errorf("%d kills and suspects", n)
		}
	})
}

func TestJobCrashed(t *testing.T) {
	t.Parallel()
	runPool(t, onePlan(2), nil, func(f *fakeFleet) {
		w := f.worker("resize/1")
		w.begin("H:a:1")
		w.events <- &workerpb.Event{Event: &workerpb.Event_JobCrashed{JobCrashed: &workerpb.JobCrashed{
			Job:      &workerpb.JobID{Server: "127.0.0.1:4730", Handle: "H:a:1", Hash: 7},
			Function: "resize", Cause: "wc was killed by SIGKILL",
		}}}
		synctest.Wait()
		want := []string{"suspect resize/2 H:a:1", "suspect resize/1 H:a:1"}
		if diff := cmp.Diff(want, f.lines); diff != "" {
			t.Errorf("the reporter comes last: %s", diff)
		}
		w.crash(syscall.SIGKILL) // with the job still in its record: it was charged already
		pass(time.Second)
		if s := seen[JobSuspected](f); len(s) != 1 || s[0].Attempts != 1 || s[0].Cause != "wc was killed by SIGKILL" {
			t.Errorf("suspects %+v", s)
		}
	})
}

func TestReachability(t *testing.T) {
	t.Parallel()
	const server = "127.0.0.1:4730"
	ready := &workerpb.Event{Event: &workerpb.Event_Ready{Ready: &workerpb.Ready{Server: server}}}
	lost := &workerpb.Event{Event: &workerpb.Event_Lost{Lost: &workerpb.Lost{Server: server, Error: "refused"}}}
	runPool(t, onePlan(20), nil, func(f *fakeFleet) {
		for _, w := range f.workers {
			w.events <- lost
		}
		pass(5*time.Minute + time.Second)
		if n := len(seen[ServerLost](f)); n != 1 {
			t.Errorf("said %d times that the server is lost", n)
		}
		if n := len(seen[ServerStillLost](f)); n != 5 {
			t.Errorf("reminded %d times in 5 minutes", n)
		}
		for _, w := range f.workers {
			w.events <- ready
		}
		synctest.Wait()
		for _, w := range f.workers[1:] {
			w.events <- lost // one is still connected
		}
		pass(5 * time.Minute)
		if n := len(seen[ServerReached](f)); n != 1 {
			t.Errorf("said %d times that the server is back", n)
		}
		if n := len(seen[ServerStillLost](f)); n != 5 {
			t.Errorf("reminded %d times of a server that is reached", n)
		}
		f.workers[0].crash(syscall.SIGKILL) // says nothing about the server
		pass(5 * time.Minute)
		if n := len(seen[ServerLost](f)); n != 1 {
			t.Errorf("said %d times that the server is lost", n)
		}
		f.pool.cfg.reach.close()
	})
}
