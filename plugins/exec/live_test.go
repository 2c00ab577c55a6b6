package exec

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

func setFunctions(t *testing.T, w *host.Worker, functions ...*workerpb.Function) {
	t.Helper()
	if err := w.Set(t.Context(), &workerpb.Settings{Functions: &workerpb.FunctionList{Functions: functions}}); err != nil {
		t.Error(err)
	}
}

// slowJobs are those that the worker told of.
func (l *logged) slowJobs() (all []*workerpb.SlowJob) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if e.GetSlowJob() != nil {
			all = append(all, e.GetSlowJob())
		}
	}
	return all
}

// TestCommandsChange in a running worker, with a job in hand of one that goes.
func TestCommandsChange(t *testing.T) {
	t.Parallel()
	addr := testutil.StartGearmand(t).Addr()
	dir := t.TempDir()
	going := function("going", "sh", "-c", `: >"$0/began"; until test -e "$0/end"; do sleep 0.01; done; echo still here`, dir)
	w, _ := startWorker(t, addr, 2, function("say", "echo", "one"), going)
	client := jobtest.NewClient(t, addr)
	say := func(want string) {
		t.Helper()
		got, err := client.Do(t.Context(), gearclient.Request{Function: "say"})
		if err != nil || strings.TrimSpace(string(got)) != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	say("one")
	task, err := client.Submit(t.Context(), gearclient.Request{Function: "going"})
	if err != nil {
		t.Fatal(err)
	}
	testutil.WaitFor(t, "the job runs", func() bool { return exists(filepath.Join(dir, "began")) })
	setFunctions(t, w, function("say", "echo", "two"), function("new", "echo", "came"))
	say("two")
	if got, err := client.Do(t.Context(), gearclient.Request{Function: "new"}); err != nil || string(got) != "came\n" {
		t.Errorf("new: %q, %v", got, err)
	}
	touch(t, filepath.Join(dir, "end"))
	if got, err := task.Wait(t.Context()); err != nil || string(got) != "still here\n" {
		t.Errorf("going: %q, %v", got, err)
	}
}

// TestSlowExecutables are told of, failed ones too.
func TestSlowExecutables(t *testing.T) {
	t.Parallel()
	addr := testutil.StartGearmand(t).Addr()
	slow := function("slow", "sh", "-c", "cat; sleep 0.3")
	fails := function("fails", "sh", "-c", "sleep 0.3; exit 3")
	fast := function("fast", "cat")
	slow.SlowMs, fails.SlowMs, fast.SlowMs = 200, 200, 60_000
	_, log := startWorker(t, addr, 2, slow, fails, fast)
	client := jobtest.NewClient(t, addr)
	for _, name := range []string{"fast", "slow", "fails"} {
		_, _ = client.Do(t.Context(), gearclient.Request{Function: name, Workload: []byte("12345")})
	}
	testutil.WaitFor(t, "two slow jobs", func() bool { return len(log.slowJobs()) == 2 })
	<-time.After(20 * time.Millisecond)
	for i, j := range log.slowJobs() {
		if want := []string{"slow", "fails"}[min(i, 1)]; j.GetFunction() != want || j.GetFailed() != (want == "fails") ||
			j.GetWorkloadBytes() != 5 || j.GetTookMs() < 250 || j.GetTookMs() > 20_000 || j.GetJob().GetHandle() == "" {
			t.Errorf("slow job %d: %v", i, j)
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
