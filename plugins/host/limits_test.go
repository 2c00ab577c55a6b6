package host_test

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

func TestLimitsOfAWorker(t *testing.T) {
	b := setup(t, nil)
	launch := b.launch("ok")
	launch.Limits = supervisor.Limits{NoFile: 234, SetCore: true, Nice: 3}
	w := b.start(t, launch)
	for resource, want := range map[int]uint64{unix.RLIMIT_NOFILE: 234, unix.RLIMIT_CORE: 0} {
		var now unix.Rlimit
		if err := unix.Prlimit(w.PID(), resource, nil, &now); err != nil || now.Cur != want || now.Max != want {
			t.Errorf("resource %d: %+v, %v, want %d", resource, now, err, want)
		}
	}
	if prio, err := unix.Getpriority(unix.PRIO_PROCESS, w.PID()); err != nil || 20-prio != 3 {
		t.Errorf("nice %d, %v", 20-prio, err)
	}
}

func TestALimitThatCannotBeSet(t *testing.T) {
	b := setup(t, nil)
	launch := b.launch("ok")
	launch.Limits.NoFile = 1 << 40 // more than anybody may have
	_, err := b.host.Start(t.Context(), launch)
	var (
		start *supervisor.StartError
		limit *supervisor.LimitError
	)
	if !errors.As(err, &start) || !errors.As(err, &limit) || limit.Limit != "nofile" {
		t.Error(err)
	}
	testutil.WaitFor(t, "the end of the process", func() bool { return len(b.sup.Processes()) == 0 })
}

func TestKeepGroup(t *testing.T) {
	for _, keep := range []bool{true, false} {
		t.Run(strconv.FormatBool(keep), func(t *testing.T) {
			b := setup(t, nil)
			launch := b.launch("starts a daemon")
			launch.KeepGroup = keep
			w := b.start(t, launch)
			daemon := int(testutil.Receive(t, "the daemon's number", w.Events()).GetBusy().GetSlot())
			defer func() { _ = syscall.Kill(daemon, syscall.SIGKILL) }()
			if err := w.Kill(); err != nil {
				t.Fatal(err)
			}
			testutil.Receive(t, "the end", w.Done())
			if keep {
				if ended(daemon) {
					t.Error("the daemon was killed")
				}
				return
			}
			testutil.WaitFor(t, "the end of the daemon", func() bool { return ended(daemon) })
		})
	}
}

// ended tells whether a process is gone or a zombie, which waits for its parent.
func ended(pid int) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, rest, _ := strings.Cut(string(data), ") ")
	return err != nil || strings.HasPrefix(rest, "Z") || strings.HasPrefix(rest, "X")
}
