package plugins_test

import (
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// TestSlowJobs tells of those that take longer than their function's limit, failed ones
// too, and of no others.
func TestSlowJobs(t *testing.T) {
	b := setup(t)
	w := b.start(t, func(r *workerpb.RunRequest) {
		for _, name := range []string{"wait", "echo", "error"} {
			function(r, name, func(f *workerpb.Function) { f.SlowMs = 100 })
		}
		function(r, "stuck", func(f *workerpb.Function) { f.SlowMs = 0 })
	})
	w.ready(t, 1)
	slow := func(function string) {
		t.Helper()
		path := file(t)
		task, began := b.submit(t, function, path)
		testutil.Receive(t, "the job", began)
		<-time.After(200 * time.Millisecond)
		makeFile(t, path, "done")
		wantResult(t, task, "done")
		if function != "wait" {
			return
		}
		e := hears(t, w, (*workerpb.Event).GetSlowJob, nil)
		id := e.GetJob()
		if e.GetFunction() != "wait" || e.GetFailed() || e.GetSlot() != 0 || e.GetTookMs() < 190 || e.GetTookMs() > 10_000 ||
			e.GetWorkloadBytes() != uint64(len(path)) || id.GetHandle() != task.Handle().Name || id.GetServer() != b.server ||
			id.GetHash() != jobrecord.Hash("wait", "", []byte(path)) {
			t.Errorf("slow job %v", e)
		}
	}
	for _, function := range []string{"echo", "error", "echo"} {
		task, _ := b.submit(t, function, "fast")
		_, _ = result(t, task)
	}
	slow("stuck")
	slow("wait")
	check(t, w.Set(t.Context(), &workerpb.Settings{Functions: &workerpb.FunctionList{Functions: []*workerpb.Function{
		{Name: "wait", Index: 11, TimeoutMs: 200, SlowMs: 100},
	}}}))
	task, _ := b.submit(t, "wait", file(t))
	wantException(t, task, "timed out after 200ms")
	failed := hears(t, w, (*workerpb.Event).GetSlowJob, func(j *workerpb.SlowJob) bool { return j.GetFailed() })
	if failed.GetJob().GetHandle() != task.Handle().Name || failed.GetTookMs() < 190 {
		t.Errorf("slow failed job %v", failed)
	}
	w.leaves(t, "timeout")
	if n := w.count(func(e *workerpb.Event) bool { return e.GetSlowJob() != nil }); n != 2 {
		t.Errorf("%d slow jobs, want 2", n)
	}
}
