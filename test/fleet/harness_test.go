package fleet

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
)

// mark is the variable by which a test knows the processes of its fleet again.
const mark = "FLEET_TEST_ID"

// fleet is a manager under test, with its job server and a client.
type fleet struct {
	tb     testing.TB
	server *testutil.Gearmand
	client *gearclient.Client
	admin  *gearclient.Admin
	id     string // mark=value
	dir    string
	cmd    *exec.Cmd
	exited chan struct{}
	log    *testutil.Buffer
}

// newFleet starts a gearmand and prepares a manager; start starts it.
func newFleet(tb testing.TB) *fleet {
	tb.Helper()
	f := &fleet{tb: tb, server: testutil.StartGearmand(tb), dir: tb.TempDir(), log: &testutil.Buffer{}}
	f.client, f.admin = jobtest.NewClient(tb, f.server.Addr()), jobtest.NewAdmin(tb, f.server.Addr())
	f.id = fmt.Sprintf("%s=%d-%s", mark, os.Getpid(), filepath.Base(f.dir)+strings.ReplaceAll(tb.Name(), "/", "-"))
	return f
}

// start starts the manager with a config, in which SERVER, PLUGINS and
// EXAMPLES stand for what they name.
func (f *fleet) start(ini string, env ...string) {
	f.tb.Helper()
	examples, err := filepath.Abs("../../examples/workers")
	if err != nil {
		f.tb.Fatal(err)
	}
	ini = strings.NewReplacer("SERVER", f.server.Addr(), "PLUGINS", filepath.Join(bin, "plugins"), "EXAMPLES", examples).Replace(ini)
	path := filepath.Join(f.dir, "config.ini")
	if err := os.WriteFile(path, []byte(ini), 0o600); err != nil {
		f.tb.Fatal(err)
	}
	f.run(f.dir, env, "-c", path, "-v")
}

// run starts the manager in a directory.
func (f *fleet) run(dir string, env []string, args ...string) {
	f.tb.Helper()
	f.cmd = exec.Command(filepath.Join(bin, "gearman-manager"), args...)
	f.cmd.Env = append(append(os.Environ(), f.id), env...)
	f.cmd.Dir = dir
	f.cmd.Stdout, f.cmd.Stderr = f.log, f.log
	f.cmd.WaitDelay = time.Second
	f.exited = make(chan struct{})
	if err := f.cmd.Start(); err != nil {
		f.tb.Fatal(err)
	}
	exited := f.exited
	go func() { // ends with the manager
		_ = f.cmd.Wait()
		close(exited)
	}()
	f.tb.Cleanup(f.cleanup)
}

// cleanup kills what a failed test has left and shows the log.
func (f *fleet) cleanup() {
	_ = f.cmd.Process.Kill()
	<-f.exited
	for _, p := range f.processes() {
		if f.tb.Failed() {
			f.tb.Logf("left: %+v", p)
		}
		_ = syscall.Kill(p.PID, syscall.SIGKILL)
	}
	if f.tb.Failed() {
		f.tb.Logf("log of the manager:\n%s", f.log)
	}
}

// processes are those of the fleet, the manager included while it lives.
func (f *fleet) processes() []testutil.Process { return testutil.ProcessesWith(f.tb, f.id) }

// workers are the processes of the fleet that are workers themselves.
func (f *fleet) workers() map[string]int {
	found := map[string]int{}
	for _, p := range f.processes() {
		if p.Worker != "" && strings.Contains(p.Cmd, p.Worker) { // not an executable that one of them has started
			found[p.Worker] = p.PID
		}
	}
	return found
}

// registered is the number of workers that the server knows for a function.
func (f *fleet) registered(function string) int {
	for _, s := range f.status() {
		if s.Function == function {
			return s.Workers
		}
	}
	return 0
}

func (f *fleet) status() []gearclient.FunctionStatus {
	f.tb.Helper()
	list, err := f.admin.Status(f.ctx())
	if err != nil {
		f.tb.Fatalf("ask gearmand for its status: %v", err)
	}
	return list
}

// ctx bounds everything a test waits for.
func (f *fleet) ctx() context.Context {
	ctx, cancel := context.WithTimeout(f.tb.Context(), testutil.Patience)
	f.tb.Cleanup(cancel)
	return ctx
}

// waitRegistered waits until the server knows just so many workers for each
// function.
func (f *fleet) waitRegistered(want map[string]int) time.Duration {
	f.tb.Helper()
	return testutil.WaitFor(f.tb, fmt.Sprintf("registered workers to be %v", want), func() bool {
		for function, n := range want {
			if f.registered(function) != n {
				return false
			}
		}
		return true
	})
}

// do has a job done.
func (f *fleet) do(function, workload string) (string, error) {
	result, err := f.client.Do(f.ctx(), gearclient.Request{Function: function, Workload: []byte(workload)})
	return string(result), err
}

// signal sends a signal to the manager.
func (f *fleet) signal(s syscall.Signal) {
	f.tb.Helper()
	if err := f.cmd.Process.Signal(s); err != nil {
		f.tb.Fatal(err)
	}
}

// waitExit waits until the manager has ended and says how long that took.
func (f *fleet) waitExit() time.Duration {
	f.tb.Helper()
	began := time.Now()
	select {
	case <-f.exited:
	case <-time.After(testutil.Patience):
		f.tb.Fatalf("the manager has not ended after %v", testutil.Patience)
	}
	return time.Since(began)
}

// waitNobody waits until no process of the fleet is left.
func (f *fleet) waitNobody() time.Duration {
	f.tb.Helper()
	return testutil.WaitFor(f.tb, "no process of the fleet to be left", func() bool { return len(f.processes()) == 0 })
}

// tool runs one of Debian's tools with standard input and returns what it
// prints.
func (f *fleet) tool(stdin []byte, name string, args ...string) string {
	f.tb.Helper()
	path := testutil.Need(f.tb, name, "gearman-tools")
	cmd := exec.CommandContext(f.ctx(), path, append([]string{"-h", f.server.Host, "-p", f.server.Port}, args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		f.tb.Fatalf("%s %v: %v\n%s", name, args, err, stderr.String())
	}
	return string(out)
}
