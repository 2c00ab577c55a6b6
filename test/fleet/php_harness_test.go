package fleet

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
)

// phpSetup is a way in which PHP can be installed and configured.
type phpSetup struct {
	name string
	ini  string                   // lines of [GearmanManager]
	env  func(*phpFleet) []string // may be nil
	lack string                   // the extension or function that this setup is about not having
}

// phpSetups are the setups in which everything has to work.
func phpSetups() []phpSetup {
	return []phpSetup{
		{name: "as installed"},
		{name: "without pecl", env: (*phpFleet).withoutPecl, lack: "gearman"},
		{name: "without any extension", ini: "php_args = -n\n", lack: "gearman"},
		{name: "without fork", ini: "php_args = -d disable_functions=pcntl_fork\n", lack: "pcntl_fork"},
		{name: "preloaded", ini: "php_preload = 1\n"},
	}
}

// phpKinds are the setups in which workers are different processes: forked ones,
// and each a php of its own.
func phpKinds() []phpSetup {
	return slices.DeleteFunc(phpSetups(), func(s phpSetup) bool { return s.name != "as installed" && s.name != "without fork" })
}

// phpFleet is a fleet with PHP workers. These are known by the directory in
// which they run, since the title of a php process overwrites its environment.
type phpFleet struct {
	*fleet
	php     string // the interpreter
	sources string // the directory with the worker files
}

// newPHPFleet is newFleet for a test that needs PHP.
func newPHPFleet(tb testing.TB) *phpFleet {
	tb.Helper()
	php := testutil.Need(tb, "php", "php-cli")
	return phpFleetOf(tb, php, newFleet(tb))
}

// newPHPFleetEmbedded is newPHPFleet on the job server of the product.
func newPHPFleetEmbedded(tb testing.TB) *phpFleet {
	tb.Helper()
	php := testutil.Need(tb, "php", "php-cli")
	host, port := "127.0.0.1", testutil.FreePort(tb)
	server := exec.Command(filepath.Join(bin, "gearman-manager"), "server", "-L", host, "-p", port)
	if err := server.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = server.Process.Kill() // it may be gone
		_ = server.Wait()
	})
	f := &fleet{tb: tb, server: &testutil.Gearmand{Host: host, Port: port}, dir: tb.TempDir(), log: &testutil.Buffer{}}
	f.client, f.admin = jobtest.NewClient(tb, f.server.Addr()), jobtest.NewAdmin(tb, f.server.Addr())
	f.id = mark + "=" + filepath.Base(filepath.Dir(f.dir)) + "-" + filepath.Base(f.dir)
	testutil.WaitFor(tb, "the embedded server to listen", func() bool {
		_, err := f.admin.Version(f.ctx())
		return err == nil
	})
	return phpFleetOf(tb, php, f)
}

func phpFleetOf(tb testing.TB, php string, f *fleet) *phpFleet {
	tb.Helper()
	sources, err := filepath.Abs("php")
	if err != nil {
		tb.Fatal(err)
	}
	return &phpFleet{f, php, sources}
}

// startPHP starts the manager with the lines of a setup and of a config, in
// which PHP stands for the directory of worker files and DIR for the fleet's
// own. What is logged is as detailed as with -vvv, unless the lines say
// otherwise.
func (f *phpFleet) startPHP(setup phpSetup, ini string) {
	f.tb.Helper()
	ini = strings.NewReplacer("PHP/", f.sources+"/", "DIR", f.dir).Replace(ini)
	if !strings.Contains(ini, "verbose") {
		ini = "verbose = 3\n" + ini
	}
	path := filepath.Join(f.dir, "config.ini")
	host := "host = " + f.server.Addr() + "\n"
	if strings.Contains(ini, "host") {
		host = ""
	}
	text := "[GearmanManager]\n" + host + setup.ini + ini
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		f.tb.Fatal(err)
	}
	var env []string
	if setup.env != nil {
		env = setup.env(f)
	}
	f.tb.Cleanup(f.killPHP) // runs after the manager has been killed
	f.run(f.dir, env, "-c", path)
}

// killPHP kills what a failed test has left.
func (f *phpFleet) killPHP() {
	for _, p := range f.phpProcesses() {
		if f.tb.Failed() {
			f.tb.Logf("left: %+v", p)
		}
		_ = syscall.Kill(p.PID, syscall.SIGKILL)
	}
}

// withoutPecl has php read every file of its configuration but the one that
// loads pecl/gearman.
func (f *phpFleet) withoutPecl() []string {
	f.tb.Helper()
	out, err := exec.Command(f.php, "-r", `echo php_ini_scanned_files();`).Output()
	if err != nil {
		f.tb.Fatal(err)
	}
	dir := f.tb.TempDir()
	for file := range strings.SplitSeq(string(out), ",") {
		file = strings.TrimSpace(file)
		if file == "" || strings.Contains(file, "gearman") {
			continue
		}
		if err := os.Symlink(file, filepath.Join(dir, filepath.Base(file))); err != nil {
			f.tb.Fatal(err)
		}
	}
	return []string{"PHP_INI_SCAN_DIR=" + dir}
}

// needPecl finds a php with pecl/gearman for clients of a test.
func needPecl(tb testing.TB) string {
	tb.Helper()
	php := testutil.Need(tb, "php", "php-cli")
	if exec.Command(php, "-r", `exit(extension_loaded("gearman") ? 0 : 1);`).Run() == nil {
		return php
	}
	if os.Getenv("CI") != "" {
		tb.Fatal("php has no extension gearman, and CI is set (Debian: php-gearman)")
	}
	tb.Skip("php has no extension gearman (Debian: php-gearman)")
	return ""
}

// phpProcesses are those that run in the fleet's directory, but for the
// manager.
func (f *phpFleet) phpProcesses() []testutil.Process {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		f.tb.Fatal(err)
	}
	var found []testutil.Process
	for _, dir := range dirs {
		cwd, err := os.Readlink(filepath.Join(dir, "cwd"))
		if err != nil || cwd != f.dir {
			continue // gone, a zombie, or not ours
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil || pid == f.cmd.Process.Pid {
			continue
		}
		cmd, _ := os.ReadFile(filepath.Join(dir, "cmdline")) // empty if it is gone
		found = append(found, testutil.Process{PID: pid, Cmd: strings.TrimSpace(strings.ReplaceAll(string(cmd), "\x00", " "))})
	}
	return found
}

// title is how the processes of a fleet call themselves.
const title = "gearman-manager: "

// phpWorkers are the processes that call themselves a worker, by pool and
// number.
func (f *phpFleet) phpWorkers() map[string]int {
	found := map[string]int{}
	for _, p := range f.phpProcesses() {
		if name, ok := strings.CutPrefix(p.Cmd, title); ok && strings.Contains(name, "/") {
			found[name] = p.PID
		}
	}
	return found
}

// phpParent is the process from which workers are forked; 0 if there is none.
func (f *phpFleet) phpParent() int {
	list := f.phpProcesses()
	if i := slices.IndexFunc(list, func(p testutil.Process) bool { return p.Cmd == title+"php" }); i >= 0 {
		return list[i].PID
	}
	return 0
}

// waitNoPHP waits until no process of the fleet is left.
func (f *phpFleet) waitNoPHP() {
	f.tb.Helper()
	testutil.WaitFor(f.tb, "no process of the fleet to be left", func() bool { return len(f.phpProcesses()) == 0 })
	f.waitNobody()
}

// waitRegisteredAtLeast waits until so many workers, or more, perform a
// function: those that wait for another's end are registered too.
func (f *phpFleet) waitRegisteredAtLeast(function string, n int) {
	f.tb.Helper()
	testutil.WaitFor(f.tb, fmt.Sprintf("%d workers to perform %s", n, function), func() bool { return f.registered(function) >= n })
}

// stopPHP stops the fleet and waits for its last process.
func (f *phpFleet) stopPHP() {
	f.tb.Helper()
	f.signal(syscall.SIGTERM)
	f.waitExit()
	f.waitNoPHP()
	if code := f.cmd.ProcessState.ExitCode(); code != 0 {
		f.tb.Errorf("exit code %d after SIGTERM, want 0", code)
	}
}

// kill kills a process of the fleet.
func (f *phpFleet) kill(pid int) {
	f.tb.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		f.tb.Fatalf("kill %d: %v", pid, err)
	}
}

// wantPHP has a job done and compares its answer, which must not have anything
// added.
func (f *phpFleet) wantPHP(function, workload, want string) {
	f.tb.Helper()
	if got, err := f.do(function, workload); err != nil || got != want {
		f.tb.Errorf("%s of %q: %q, %v, want %q", function, workload, got, err, want)
	}
}

// trace has a job done and lists what the client is told of it.
func (f *phpFleet) trace(function, workload string) []string {
	f.tb.Helper()
	return traceJob(f.tb, f.client, function, workload)
}
