package fleet

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// asInit is a command that is process 1 of a container of its own: it sees no process
// but those that come from it, and inherits those whose parents have ended.
func asInit(name string, args ...string) *exec.Cmd {
	// What executes it has mounted /proc for it, and is the same process.
	cmd := exec.Command("sh", append([]string{"-c", `mount -t proc proc /proc && exec "$@"`, "sh", name}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	return cmd
}

// needInit skips a test where nothing can be process 1.
func needInit(tb testing.TB) {
	tb.Helper()
	out, err := asInit("sh", "-c", `test $$ = 1`).CombinedOutput()
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		tb.Fatalf("no process can be process 1 of a namespace, and CI is set: %v %s", err, out)
	default:
		tb.Skipf("no process can be process 1 of a namespace: %v %s", err, out)
	}
}

// startInit starts the manager as process 1.
func (f *stormFleet) startInit(ini string) {
	f.tb.Helper()
	f.writeConfig("config.ini", f.fill(ini))
	f.cmd = asInit(filepath.Join(bin, "gearman-manager"), "-c", f.config, "--log-format", "json", "-vvv")
	f.cmd.Env = append(os.Environ(), f.id)
	f.cmd.Dir = f.dir
	f.cmd.Stdout, f.cmd.Stderr = f.log, f.log
	f.cmd.WaitDelay = time.Second
	f.exited = make(chan struct{})
	if err := f.cmd.Start(); err != nil {
		f.tb.Fatal(err)
	}
	go func() { // ends with the manager
		_ = f.cmd.Wait()
		close(f.exited)
	}()
	f.tb.Cleanup(f.cleanup)
}

// running finds a process that comes from the manager by its command line.
func (f *stormFleet) running(cmd string) (c child, ok bool) {
	f.tb.Helper()
	for pid, is := range f.everybody() {
		if is == cmd {
			c, _, ok = readChild(pid)
			return c, ok
		}
	}
	return child{}, false
}

// leaveScript leaves a process in a session of its own. It does not end before that has
// left the group, which would be killed.
const leaveScript = `
setsid sh -c 'echo >left; exec sleep 4.25' >/dev/null 2>&1 </dev/null &
until [ -e left ]; do sleep 0.01; done
echo left
`

// TestManagerIsInit runs the manager as process 1, as in a container. What jobs leave
// behind, in sessions of its own, becomes its child and is waited for when it ends.
// Workers that are killed are replaced, and SIGTERM, which the kernel keeps from a
// process 1 that does not ask for it, stops the fleet.
func TestManagerIsInit(t *testing.T) {
	t.Parallel()
	needInit(t)
	f := newStorm(t)
	f.write("leave.sh", leaveScript)
	f.startInit("worker_dir = PHP/workers,STORMS\ninclude = gostay,conduct,leave,alone\ndedicated_count = 2\n" +
		"[leave]\ncommand = sh leave.sh\n" +
		"[alone]\ncommand = STORM alone alone\nmode = standalone\ncount = 2\n")
	all := map[string]int{"gostay": 2, "conduct": 2, "leave": 2, "alone": 2}
	f.waitRegistered(all)
	if pid := f.fleetStatus().Manager.PID; pid != 1 {
		t.Errorf("the manager is process %d, want 1", pid)
	}
	if _, err := f.do("leave", ""); err != nil {
		t.Error(err)
	}
	if _, err := f.do("conduct", `exec("setsid sleep 4.5 > /dev/null 2>&1 < /dev/null & echo left", $out); return $out[0];`); err != nil {
		t.Error(err)
	}
	for _, cmd := range []string{"sleep 4.25", "sleep 4.5"} {
		testutil.WaitFor(t, cmd+" to be the manager's child", func() bool {
			c, ok := f.running(cmd)
			return ok && c.parent == f.cmd.Process.Pid
		})
	}
	alive := f.waitAlive(7) // the executable has one worker for both jobs
	f.each(alive, syscall.SIGKILL)
	f.waitAlive(7)
	f.waitRegistered(all)
	testutil.WaitFor(t, "the manager to say that it has waited for both", func() bool {
		return strings.Count(f.log.String(), `"orphan ended"`) >= 2
	})
	testutil.WaitFor(t, "all that has ended to be waited for", func() bool {
		_, zombies := f.census()
		_, one := f.running("sleep 4.25")
		_, two := f.running("sleep 4.5")
		return len(zombies) == 0 && !one && !two
	})
	f.stopStorm()
}
