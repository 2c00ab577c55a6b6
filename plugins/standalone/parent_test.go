package standalone_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/standalone"
)

// manager starts a worker in a process of its own, which then only lives.
func manager() int {
	sup, err := newSupervisor(nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 98
	}
	h := standalone.New(standalone.Config{Supervisor: sup})
	w, err := h.Start(context.Background(), host.Launch{
		Name: "reverse/1", Path: "/proc/self/exe", Env: environment("polite"),
		Output: func(_, line string) {
			if line == "ready" {
				fmt.Println("it is ready")
			}
		},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 98
	}
	fmt.Printf("worker %d\n", w.PID())
	return forever()
}

// TestManagerDies leaves a worker alone. It leaves although nobody reads what it
// prints.
func TestManagerDies(t *testing.T) {
	b := setup(t, nil)
	launch, out := b.launch("manager", nil)
	m := b.start(t, launch)
	pid, err := strconv.Atoi(out.await(t, "worker "))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	out.await(t, "it is ready")
	if !alive(pid) {
		t.Fatal("the worker has ended")
	}
	hit(t, m.PID(), syscall.SIGKILL)
	testutil.Receive(t, "the end of the manager", m.Done())
	testutil.WaitFor(t, "the end of the worker", func() bool { return !alive(pid) })
}
