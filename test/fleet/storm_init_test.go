package fleet

import (
	"fmt"
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
// but those that come from it, and inherits those whose parents have ended. The first of
// the ways needs no privilege, but is forbidden in some containers and below a chroot,
// where root may still take the second.
func asInit(flags uintptr, name string, args ...string) *exec.Cmd {
	// What executes it has mounted /proc for it, and is the same process.
	const script = `mount --make-private /proc 2>/dev/null; mount -t proc proc /proc && exec "$@"`
	cmd := exec.Command("sh", append([]string{"-c", script, "sh", name}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	if flags&syscall.CLONE_NEWUSER != 0 {
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return cmd
}

// initFlags finds a way in which something can be process 1, or says why there is none: no
// package mends that.
func initFlags() (flags uintptr, err error) {
	const own = syscall.CLONE_NEWPID | syscall.CLONE_NEWNS
	for _, flags = range []uintptr{own | syscall.CLONE_NEWUSER, own} {
		out, failed := asInit(flags, "sh", "-c", `test $$ = 1`).CombinedOutput()
		if failed == nil {
			return flags, nil
		}
		err = fmt.Errorf("%w %s", failed, out)
	}
	return 0, err
}

// startInit starts the manager as process 1.
func (f *stormFleet) startInit(flags uintptr, ini string) {
	f.tb.Helper()
	f.writeConfig("config.ini", f.fill(ini))
	f.cmd = asInit(flags, filepath.Join(bin, "gearman-manager"), "-c", f.config, "--log-format", "json", "-vvv")
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
	flags, err := initFlags()
	if err != nil {
		t.Logf("not looked at, since no process can be process 1 of a namespace here: %v", err)
		return
	}
	f := newStorm(t)
	f.write("leave.sh", leaveScript)
	f.startInit(flags, "worker_dir = PHP/workers,STORMS\ninclude = gostay,conduct,leave,alone\ndedicated_count = 2\n"+
		"[leave]\ncommand = sh leave.sh\n"+
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
