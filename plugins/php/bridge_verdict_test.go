package php_test

import (
	"encoding/binary"
	"path/filepath"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/geartest"
	"github.com/gearman-manager/gearman-manager/gearclient/wire"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// verdictTime is how long a worker waits for the manager's word about a job, at most.
const verdictTime = 2 * time.Second

// records is a pool's file of n records, of which the worker has record own.
func records(t *testing.T, n, own int) (*jobrecord.File, bridgeOption) {
	t.Helper()
	f, err := jobrecord.Create(filepath.Join(t.TempDir(), "records"), n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f, with(func(req *workerpb.RunRequest) {
		req.RecordFile = f.Path()
		req.Slots[0].Record = uint32(own) //nolint:gosec // a small number
	})
}

// holds makes a record one whose worker has a job in hand.
func holds(t *testing.T, f *jobrecord.File, i int, j jobrecord.Job) *jobrecord.Record {
	t.Helper()
	r, err := f.Record(i)
	if err != nil {
		t.Fatal(err)
	}
	r.Begin(j, jobrecord.Now(), 0)
	return r
}

// badJob is the job of the function same that killed a worker.
func badJob() jobrecord.Job {
	return jobrecord.Job{Server: 1, Function: 1, Handle: "H:t:2", Unique: "u", Hash: jobrecord.Hash("same", "u", []byte("bad"))}
}

// TestBridgeWaitsForTheVerdict is given a job that stands in the record of a worker which
// died with it: it waits until the manager has told and cleared that, and then does as told.
// The hash stands where none belongs, too.
func TestBridgeWaitsForTheVerdict(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		records int
		option  bridgeOption
		fail    bool
	}{
		{"fail", 5, set("ffi.enable=1"), true},
		{"fail without FFI", 5, set("ffi.enable=0"), true},
		{"run again", 5, set("ffi.enable=1"), false},
		{"many records", 500, set("ffi.enable=1"), true},
		{"many records without FFI", 500, set("ffi.enable=0"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f, mine := records(t, c.records, 2)
			asleep, told, silent := newMoment(), make(chan struct{}), make(chan struct{})
			end := completes("H:t:2", "bad")
			if c.fail {
				end = geartest.Do(func() {})
			}
			script := steps(registers("same"), asks, assigns("H:t:1", "same", "good"), completes("H:t:1", "good"), noJob, sleeps,
				asleep.steps(), wakes, asks, assigns("H:t:2", "same", "bad"), geartest.ExpectSilence(told), geartest.Signal(silent), end)
			if c.fail {
				script = steps(script, excepts(t, "H:t:2", "it killed three workers"))
			}
			s := geartest.Start(t, speaks(script, noJob, sleeps, rests))
			b := startBridge(t, at(s.Addr()), performing("same"), mine, c.option)
			await[*workerpb.Event_Idle](t, b)
			hash := string(binary.LittleEndian.AppendUint64(nil, badJob().Hash))
			holds(t, f, 0, jobrecord.Job{Server: 1, Handle: "H:" + hash, Unique: hash + "." + hash})
			dead := holds(t, f, c.records-1, badJob())
			asleep.then(t, func() {})
			await[*workerpb.Event_Busy](t, b)
			b.sync(t) // a worker that waits hears
			b.tell(t, "suspect", &workerpb.Suspects{Add: []*workerpb.SuspectJob{suspect(s.Addr(), "H:t:2", "bad", c.fail)}})
			close(told)
			testutil.Receive(t, "the end of the silence", silent)
			dead.Clear()
			await[*workerpb.Event_Idle](t, b)
			b.drain(t)
			b.leaves(t, 2, map[bool]uint64{true: 1}[c.fail])
		})
	}
}

// TestBridgeWaitsNoLonger than until the manager is gone, and than two seconds.
func TestBridgeWaitsNoLonger(t *testing.T) {
	t.Parallel()
	for _, gone := range []bool{true, false} {
		t.Run(map[bool]string{true: "manager gone", false: "no word"}[gone], func(t *testing.T) {
			t.Parallel()
			f, mine := records(t, 3, 0)
			holds(t, f, 2, badJob())
			before, answered := newMoment(), make(chan struct{})
			s := geartest.Start(t, speaks(registers("same"), asks, before.steps(), assigns("H:t:2", "same", "bad"),
				completesAlone("H:t:2", "bad"), geartest.Signal(answered), rests))
			b := startBridge(t, at(s.Addr()), performing("same"), mine)
			begin := time.Now()
			before.then(t, func() {})
			await[*workerpb.Event_Busy](t, b)
			if gone {
				_ = b.conn.CloseWrite()
			}
			<-answered
			took := time.Since(begin)
			if gone != (took < verdictTime) {
				t.Errorf("performed after %v", took)
			}
		})
	}
}

// TestBridgeWaitsForNoOther has records of jobs that only look like the one it is given,
// which stay as they are.
func TestBridgeWaitsForNoOther(t *testing.T) {
	t.Parallel()
	f, mine := records(t, 8, 3)
	job := badJob()
	like := func(i int, change func(*jobrecord.Job)) *jobrecord.Record {
		j := job
		change(&j)
		return holds(t, f, i, j)
	}
	like(0, func(j *jobrecord.Job) { j.Handle = "H:t:3" })
	like(1, func(j *jobrecord.Job) { j.Handle = "H:t:21" })
	like(2, func(j *jobrecord.Job) { j.Handle = "H:t:" })
	like(3, func(*jobrecord.Job) {}) // its own
	like(4, func(j *jobrecord.Job) { j.Server = 2 })
	like(5, func(j *jobrecord.Job) { j.Hash++ })
	like(6, func(j *jobrecord.Job) { j.Hash += 1 << 32 })
	like(7, func(*jobrecord.Job) {}).Clear()
	before, answered := newMoment(), make(chan struct{})
	s := geartest.Start(t, speaks(registers("same"), asks, before.steps(), assigns("H:t:2", "same", "bad"),
		geartest.Expect(wire.WorkComplete, "H:t:2", "bad"), geartest.Signal(answered), rests))
	startBridge(t, at(s.Addr()), performing("same"), mine)
	begin := time.Now()
	before.then(t, func() {})
	<-answered
	if took := time.Since(begin); took >= verdictTime {
		t.Errorf("performed after %v", took)
	}
}
