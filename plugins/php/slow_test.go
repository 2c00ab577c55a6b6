package php_test

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/php"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// TestSlowFiles are told while they are being loaded, once each, and the others are not.
func TestSlowFiles(t *testing.T) {
	const after = 2 * time.Second // so long does no good file take
	told := make(chan php.Slow, 16)
	b := setupPHP(t, true, func(cfg *php.Config) {
		cfg.SlowAfter = after
		cfg.Slow = func(s php.Slow) { told <- s }
	})
	dir := t.TempDir()
	flag := dir + "/go"
	waits := workerFile(t, dir, "waits", "while (!file_exists('"+flag+"')) { usleep(10000); clearstatcache(); }\nfunction waits($job) {}")
	good := workerFile(t, dir, "good", "function good($job) {}")
	done := make(chan error, 1)
	go func() {
		found, err := b.host.Inspect(t.Context(), []php.File{good, waits})
		if len(found) > 0 {
			t.Errorf("found %+v", found)
		}
		done <- err
	}()
	select {
	case s := <-told:
		if diff := cmp.Diff(php.Slow{Path: waits.Path, After: after, Limit: php.DefaultInitTimeout}, s); diff != "" {
			t.Error(diff)
		}
	case <-time.After(testutil.Patience):
		t.Error("nobody was told")
	}
	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(told) > 0 {
		t.Errorf("told again: %+v", <-told)
	}
}

// TestSlowWorkers: of a pool it is said once.
func TestSlowWorkers(t *testing.T) {
	told := make(chan php.Slow, 16)
	b := setupPHP(t, true, func(cfg *php.Config) {
		cfg.SlowAfter = time.Millisecond
		cfg.Slow = func(s php.Slow) { told <- s }
	})
	file := workerFile(t, t.TempDir(), "waits", "usleep(200000);\nfunction waits($job) {}")
	for range 2 {
		w, err := b.gen.Start(t.Context(), host.Launch{Name: "waits/1", Request: func() *workerpb.RunRequest {
			return &workerpb.RunRequest{Functions: []*workerpb.Function{{Name: "waits", Source: &workerpb.Source{File: file.Path, Symbol: "waits"}}}}
		}})
		if err == nil {
			t.Cleanup(func() { _ = w.Kill(); <-w.Done() })
		}
	}
	if len(told) != 1 {
		t.Fatalf("told %d times", len(told))
	}
	if s := <-told; s.Name != "waits/1" || s.Path != file.Path {
		t.Errorf("told %+v", s)
	}
}
