package standalone_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/plugins/standalone"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// TestAge has a worker too old, which it does not know.
func TestAge(t *testing.T) {
	b := setup(t, nil)
	w, _ := b.play(t, "polite", &workerpb.Limits{MaxLifetimeMs: 300})
	e := retiring(t, w)
	if age := time.Since(w.Process().Started()); age < 300*time.Millisecond {
		t.Errorf("retires at the age of %v", age)
	}
	if e.GetReason() != "max_lifetime" || !strings.HasSuffix(e.GetDetail(), " old, limit 300ms") {
		t.Errorf("got %v", e)
	}
	quiet(t, w, 1)
	if !alive(w.PID()) {
		t.Error("it has ended")
	}
	if err := w.Drain(t.Context(), "recycle"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"left: counters false", "exited with status 0"}, story(t, w)); diff != "" {
		t.Error(diff)
	}
}

// TestAgeInStart is over before the worker is ready.
func TestAgeInStart(t *testing.T) {
	b := setup(t, func(cfg *standalone.Config) { cfg.StartSeconds = 200 * time.Millisecond })
	launch, _ := b.launch("polite", &workerpb.Limits{MaxLifetimeMs: 1})
	if reason := retiring(t, b.start(t, launch)).GetReason(); reason != "max_lifetime" {
		t.Error(reason)
	}
}

// TestMemory has a worker grow.
func TestMemory(t *testing.T) {
	b := setup(t, nil)
	const limit = 64 << 20
	w, out := b.play(t, "large", &workerpb.Limits{MaxMemory: limit})
	small, _ := b.play(t, "polite", &workerpb.Limits{MaxMemory: limit})
	quiet(t, w, 2)
	hit(t, w.PID(), syscall.SIGUSR1)
	out.await(t, "holds 1")
	e := retiring(t, w)
	var has, most uint64
	if n, err := fmt.Sscanf(e.GetDetail(), "%d bytes resident, limit %d", &has, &most); n != 2 || err != nil {
		t.Errorf("detail %q", e.GetDetail())
	}
	if e.GetReason() != "max_memory" || most != limit || has <= limit { // it may be seen while it grows
		t.Errorf("got %v", e)
	}
	quiet(t, small, 0)
	if !alive(w.PID()) {
		t.Error("it has ended")
	}
}

// TestSetLimits changes limits while workers run.
func TestSetLimits(t *testing.T) {
	b := setup(t, nil)
	set := func(w *standalone.Worker, limits *workerpb.Limits) {
		t.Helper()
		if err := w.Set(t.Context(), &workerpb.Settings{Limits: limits}); err != nil {
			t.Error(err)
		}
	}
	const hour = uint64(time.Hour / time.Millisecond)
	young, _ := b.play(t, "polite", &workerpb.Limits{MaxLifetimeMs: hour})
	kept, _ := b.play(t, "polite", &workerpb.Limits{MaxLifetimeMs: 1500, MaxMemory: 1})
	set(kept, &workerpb.Limits{})
	set(young, nil) // says nothing
	set(young, &workerpb.Limits{MaxLifetimeMs: 1})
	if reason := retiring(t, young).GetReason(); reason != "max_lifetime" {
		t.Error(reason)
	}
	quiet(t, kept, 3)
	set(kept, &workerpb.Limits{MaxMemory: 1})
	if reason := retiring(t, kept).GetReason(); reason != "max_memory" {
		t.Error(reason)
	}
	set(kept, &workerpb.Limits{MaxMemory: 1, MaxLifetimeMs: 1}) // it is known
	quiet(t, kept, 1)
	w, _ := b.play(t, "polite", &workerpb.Limits{MaxLifetimeMs: ^uint64(0)}) // more than can be said
	quiet(t, w, 0)
}

// TestTogether has workers change, be looked at and end at the same time.
func TestTogether(t *testing.T) {
	b := setup(t, nil)
	const crowd = 8
	workers := make([]*standalone.Worker, crowd)
	for i := range workers {
		launch, _ := b.launch("polite", &workerpb.Limits{MaxMemory: 1 << 40, MaxLifetimeMs: milliseconds(time.Hour)})
		launch.Name = "reverse/" + strconv.Itoa(i)
		workers[i] = b.start(t, launch)
	}
	var wg sync.WaitGroup
	for i, w := range workers {
		wg.Go(func() {
			for n := range 50 {
				_ = w.Set(t.Context(), &workerpb.Settings{Limits: &workerpb.Limits{
					MaxMemory: uint64(n%2) * uint64(os.Getpagesize()) << 30, MaxLifetimeMs: uint64(1 + (n+i)%3*1000),
				}})
				_ = w.Ping(t.Context())
			}
		})
		wg.Go(func() {
			switch i % 4 {
			case 0:
				_ = w.Drain(t.Context(), "stop")
			case 1:
				w.Release()
			case 2:
				hit(t, w.PID(), syscall.SIGTERM)
			default:
				_ = w.Kill()
			}
		})
	}
	wg.Wait()
	for i, w := range workers {
		last := story(t, w)
		if got := last[len(last)-1]; i%4 == 3 && got != "killed by SIGKILL" {
			t.Errorf("worker %d: %v", i, last)
		}
	}
}
