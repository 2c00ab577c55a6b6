package plugins_test

import (
	"testing"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// inheritance is a worker that has been given a job of a dead one, which it does not
// know of yet, and another job beside it, which runs.
type inheritance struct {
	*bundle
	*worker

	path  string // what makes the job end
	task  *gearclient.Task
	began <-chan struct{}
	id    *workerpb.JobID
	dead  *jobrecord.Record // which shows the job

	besidePath string
	beside     *gearclient.Task
}

func inherit(t *testing.T) inheritance {
	t.Helper()
	h := inheritance{bundle: setup(t), path: file(t), besidePath: file(t)}
	h.worker = h.start(t, func(r *workerpb.RunRequest) {
		r.Slots, r.Hold = []*workerpb.Slot{{Record: 0}, {Record: 1}}, workerpb.Hold_HOLD_REGISTERED
	})
	h.task, h.began = h.submit(t, "wait", h.path)
	h.id = &workerpb.JobID{Server: h.server, Handle: h.task.Handle().Name, Hash: jobrecord.Hash("wait", "", []byte(h.path))}
	var err error
	if h.dead, err = h.records.Record(6); err != nil {
		t.Fatal(err)
	}
	h.dead.Begin(jobrecord.Job{Server: 4, Function: 11, Handle: h.id.GetHandle(), Hash: h.id.GetHash()}, jobrecord.Now(), len(h.path))
	if err := h.Go(t.Context(), workerpb.Hold_HOLD_NONE, 0); err != nil {
		t.Fatal(err)
	}
	hears(t, h.worker, (*workerpb.Event).GetBusy, nil)
	var began <-chan struct{}
	h.beside, began = h.submit(t, "wait", h.besidePath)
	testutil.Receive(t, "the job beside the one that waits", began)
	return h
}

// told has the worker told of the job and the record cleared, as a manager does.
func (h inheritance) told(t *testing.T, s *workerpb.SuspectJob) {
	t.Helper()
	s.Job = h.id
	if err := h.Suspect(t.Context(), &workerpb.Suspects{Add: []*workerpb.SuspectJob{s}}); err != nil {
		t.Fatal(err)
	}
	stays(t, h.task)
	h.wantNotBegun(t)
	h.dead.Clear()
}

func (h inheritance) wantNotBegun(t *testing.T) {
	t.Helper()
	select {
	case <-h.began:
		t.Error("the job of the dead worker runs")
	default:
	}
}

// endBeside lets the job beside end.
func (h inheritance) endBeside(t *testing.T) {
	t.Helper()
	makeFile(t, h.besidePath, "beside")
	wantResult(t, h.beside, "beside")
}

// TestGivenUpJobOfADeadWorker is given a job before it is told that it is given up:
// the job does not run.
func TestGivenUpJobOfADeadWorker(t *testing.T) {
	h := inherit(t)
	h.told(t, &workerpb.SuspectJob{Fail: true, Cause: "died too often"})
	wantException(t, h.task, "died too often")
	h.endBeside(t)
}

// TestSuspectJobOfADeadWorker is given a job before it is told that it is a suspect:
// the job waits until it is alone.
func TestSuspectJobOfADeadWorker(t *testing.T) {
	h := inherit(t)
	h.told(t, &workerpb.SuspectJob{Attempts: 1})
	stays(t, h.task)
	h.wantNotBegun(t)
	h.endBeside(t)
	testutil.Receive(t, "the suspect", h.began)
	makeFile(t, h.path, "survived")
	wantResult(t, h.task, "survived")
}

// TestInnocentJobOfADeadWorker has the record cleared without a word.
func TestInnocentJobOfADeadWorker(t *testing.T) {
	h := inherit(t)
	h.dead.Clear()
	testutil.Receive(t, "the job", h.began)
	makeFile(t, h.path, "done")
	wantResult(t, h.task, "done")
	h.endBeside(t)
}
