package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/cli"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/manager"
	"github.com/gearman-manager/gearman-manager/plugins"
)

func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == manager.ExecArg:
		program()
	case os.Getenv(plugins.CookieKey) != "": // started by a manager
		plugin()
	}
	testscript.Main(m, map[string]func(){"gearman-manager": program, pluginName: plugin})
}

// program is gearman-manager's main function.
func program() {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1)
	os.Exit(cli.Main(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr, signals))
}

// pluginName is what a plugin of a script has to be called, for the test binary
// knows by its name what it is.
const pluginName = "a-plugin"

// plugin is a Go plugin's main function.
func plugin() {
	plugins.Serve(
		plugins.Func("reverse", func(_ context.Context, job *plugins.Job) ([]byte, error) {
			text := []rune(string(job.Workload()))
			slices.Reverse(text)
			return []byte(string(text)), nil
		}),
		plugins.Func("boom", func(context.Context, *plugins.Job) ([]byte, error) { return nil, errors.New("boom it went") }),
	)
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Condition:           missing,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    exits,
			"freeport": freePort,
			"plugin":   installPlugin,
			"signal":   sendSignal,
			"waitfor":  waitFor,
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			env.Values[tb{}] = t
			dir := filepath.Join(env.WorkDir, "run")
			env.Setenv("XDG_RUNTIME_DIR", dir)
			env.Setenv("XDG_STATE_HOME", filepath.Join(env.WorkDir, "state"))
			return os.Mkdir(dir, 0o700)
		},
	})
}

// missing is the condition [missing:PROGRAM], for scripts that are to be skipped
// then. Where CI is set everything has to be installed.
func missing(condition string) (bool, error) {
	program, ok := strings.CutPrefix(condition, "missing:")
	if !ok {
		return false, fmt.Errorf("unknown condition %s", condition)
	}
	_, err := exec.LookPath(program)
	if err != nil && os.Getenv("CI") != "" {
		return false, fmt.Errorf("CI is set: %w", err)
	}
	return err != nil, nil
}

// tb is the key of the test in a script's values.
type tb struct{}

// need fails a script whose command has too few arguments.
func need(ts *testscript.TestScript, neg bool, args []string, n int, usage string) {
	if neg || len(args) < n {
		ts.Fatalf("usage: %s", usage)
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "exits CODE COMMAND…")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func freePort(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, "freeport NAME")
	t, ok := ts.Value(tb{}).(*testing.T)
	if !ok {
		ts.Fatalf("no test")
	}
	ts.Setenv(args[0], testutil.FreePort(t))
}

// installPlugin makes a file the test binary.
func installPlugin(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, "plugin FILE")
	if filepath.Base(args[0]) != pluginName {
		ts.Fatalf("a plugin has to be called %s", pluginName)
	}
	self, err := os.Executable()
	ts.Check(err)
	data, err := os.ReadFile(self)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o755)) //nolint:gosec // it is to be executed
}

func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "signal NAME COMMAND…")
	number, ok := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "HUP": syscall.SIGHUP, "USR1": syscall.SIGUSR1}[args[0]]
	if !ok {
		ts.Fatalf("unknown signal %s", args[0])
	}
	for _, cmd := range ts.BackgroundCmds() {
		line := strings.Join(append([]string{filepath.Base(cmd.Path)}, cmd.Args[1:]...), " ")
		if strings.HasPrefix(line, strings.Join(args[1:], " ")) {
			ts.Check(cmd.Process.Signal(number))
			return
		}
	}
	ts.Fatalf("no such command runs in the background")
}

func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "waitfor server PORT | waitfor workers PORT FUNCTION N | waitfor text FILE TEXT")
	ctx, cancel := context.WithTimeout(context.Background(), testutil.Patience)
	defer cancel()
	if args[0] == "text" {
		need(ts, neg, args, 3, "waitfor text FILE TEXT")
		poll(ctx, ts, func() error { return hasText(ts.MkAbs(args[1]), args[2]) })
		return
	}
	admin, err := gearclient.NewAdmin(gearclient.AdminConfig{Server: "127.0.0.1:" + args[1]})
	ts.Check(err)
	defer func() { _ = admin.Close() }()
	ask := func() error { _, err := admin.Version(ctx); return err }
	if args[0] == "workers" {
		need(ts, neg, args, 4, "waitfor workers PORT FUNCTION N")
		ask = func() error { return countWorkers(ctx, admin, args[2], args[3]) }
	}
	poll(ctx, ts, ask)
}

// poll asks until there is no error.
func poll(ctx context.Context, ts *testscript.TestScript, ask func() error) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for err := ask(); err != nil; err = ask() {
		select {
		case <-ctx.Done():
			ts.Fatalf("waited %v: %v", testutil.Patience, err)
		case <-tick.C:
		}
	}
}

// hasText looks for a text in a file.
func hasText(file, text string) error {
	data, err := os.ReadFile(file)
	if err == nil && !strings.Contains(string(data), text) {
		err = fmt.Errorf("%s is not in %s", text, file)
	}
	return err
}

func countWorkers(ctx context.Context, admin *gearclient.Admin, function, want string) error {
	list, err := admin.Status(ctx)
	if err != nil {
		return err
	}
	for _, f := range list {
		if f.Function == function {
			if strconv.Itoa(f.Workers) == want {
				return nil
			}
			return fmt.Errorf("%s has %d workers", function, f.Workers)
		}
	}
	return fmt.Errorf("nobody offers %s", function)
}
