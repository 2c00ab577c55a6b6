package php_test

import (
	"path/filepath"
	"testing"

	"github.com/gearman-manager/gearman-manager/gearclient/geartest"
	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// recordFile is a pool's file of three records, with the one of the worker.
func recordFile(t *testing.T) (*jobrecord.File, *jobrecord.Record, bridgeOption) {
	t.Helper()
	f, err := jobrecord.Create(filepath.Join(t.TempDir(), "records"), 3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	r, err := f.Record(1)
	if err != nil {
		t.Fatal(err)
	}
	return f, r, with(func(req *workerpb.RunRequest) {
		req.RecordFile = f.Path()
		req.Slots[0].Record = 1
		for _, s := range req.Servers {
			s.Index += 6
		}
		for _, fn := range req.Functions {
			fn.Index += 0x1230
		}
	})
}

// TestBridgeKeepsItsRecord is looked at before, in and after jobs, and by the worker that
// follows.
func TestBridgeKeepsItsRecord(t *testing.T) {
	t.Parallel()
	gate, open := gateFile(t)
	_, record, records := recordFile(t)
	asleep, inJob, after := newMoment(), newMoment(), newMoment()
	s := geartest.Start(t,
		speaks(
			registers("gate", "throws"), idles, asleep.steps(), wakes, asks,
			assigns("H:host:1", "gate", gate), began("H:host:1"), inJob.steps(), completes("H:host:1", "open"),
			assigns("H:host:2", "throws", "12345"), excepts(t, "H:host:2", "12345"), noJob, sleeps, after.steps(), asks, noJob, closes,
		),
		speaks(registers("gate", "throws"), asks, assigns("H:host:3", "unknown", "abc"), exceptsAlone(t, "H:host:3", "unknown"), closes),
	)
	start := jobrecord.Now()
	b := startBridge(t, at(s.Addr()), performing("throws", "gate"), records)
	asleep.then(t, func() {
		if got := record.Snapshot(); got != (jobrecord.Snapshot{}) {
			t.Errorf("before: %+v", got)
		}
	})
	inJob.then(t, func() {
		got := record.Snapshot()
		if got.Start < start || got.Start > jobrecord.Now() {
			t.Errorf("began at %v, now is %v", got.Start, jobrecord.Now())
		}
		got.Start = 0
		want := jobrecord.Snapshot{Job: jobrecord.Job{
			Server: 7, Function: 0x1232, Handle: "H:host:1", Unique: "u", Hash: jobrecord.Hash("gate", "u", []byte(gate)),
		}, Busy: true, Begun: 1}
		if got != want {
			t.Errorf("in the job:\ngot  %+v\nwant %+v", got, want)
		}
		open()
	})
	after.then(t, func() {
		await[*workerpb.Event_Idle](t, b)
		got := record.Snapshot()
		if got.Busy || got.Torn || got.Begun != 2 || got.Done != 2 || got.Failed != 1 || got.Spent <= 0 ||
			got.Bytes != uint64(len(gate)+len("open")+5) {
			t.Errorf("after: %+v", got)
		}
		b.drain(t)
	})
	b.leaves(t, 2, 1)
	next := startBridge(t, at(s.Addr()), performing("throws", "gate"), records, limited(&workerpb.Limits{MaxRuns: 1}))
	next.leaves(t, 1, 1)
	if got := record.Snapshot(); got.Busy || got.Begun != 3 || got.Done != 3 || got.Failed != 2 {
		t.Errorf("after the next worker: %+v", got)
	}
}

// TestBridgeRecordsLongNames has the longest handle there is, and a large workload, whose
// hash is made in another way.
func TestBridgeRecordsLongNames(t *testing.T) {
	t.Parallel()
	f, record, records := recordFile(t)
	const handle = "H:a-host-with-a-name-that-is-as-long-as-names-may-be.example:001"
	if len(handle) != jobrecord.MaxHandle {
		t.Fatal(len(handle))
	}
	workload := make([]byte, 100_000)
	inJob := newMoment()
	s := geartest.Start(t, speaks(registers("endless"), asks, assigns(handle, "endless", string(workload)), began(handle), inJob.steps(), rests))
	b := startBridge(t, at(s.Addr()), performing("endless"), records)
	inJob.then(t, func() {
		if got := record.Snapshot(); got.Handle != handle || got.Hash != jobrecord.Hash("endless", "u", workload) {
			t.Errorf("%+v", got)
		}
	})
	if err := b.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	b.exits(t, -1)
	if got := record.Snapshot(); !got.Busy || got.Torn || got.Handle != handle {
		t.Errorf("after its death: %+v", got)
	}
	for _, i := range []int{0, 2} {
		other, err := f.Record(i)
		if err != nil || other.Snapshot() != (jobrecord.Snapshot{}) {
			t.Errorf("record %d: %+v, %v", i, other.Snapshot(), err)
		}
	}
}

// TestBridgeRecordsAJobThatEndsIt counts a job whose end is that of the worker.
func TestBridgeRecordsAJobThatEndsIt(t *testing.T) {
	t.Parallel()
	_, record, records := recordFile(t)
	s := geartest.Start(t, speaks(registers("ends"), asks, assigns("H:t:1", "ends", "abc"), exceptsAlone(t, "H:t:1", "exit()"), closes))
	b := startBridge(t, at(s.Addr()), performing("ends"), records)
	b.exits(t, 0)
	if got := record.Snapshot(); got.Busy || got.Done != 1 || got.Failed != 1 || got.Bytes != 3 {
		t.Errorf("%+v", got)
	}
}
