package cli_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/cli"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) {
	// Managers of these tests keep nothing: no directory can be made there.
	if err := os.Setenv("XDG_STATE_HOME", "/dev/null/none"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// result is what a run of the program left.
type result struct {
	code        int
	out, stderr string
}

// run runs the program with no signals.
func run(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testutil.Patience)
	defer cancel()
	var out, stderr bytes.Buffer
	code := cli.Main(ctx, append([]string{"gearman-manager"}, args...), strings.NewReader(stdin), &out, &stderr, nil)
	return result{code, out.String(), stderr.String()}
}

// wantRun runs the program and compares what is left; texts are looked for
// anywhere.
func wantRun(t *testing.T, code int, out, stderr string, args ...string) {
	t.Helper()
	got := run(t, "", args...)
	if got.code != code || !strings.Contains(got.out, out) || !strings.Contains(got.stderr, stderr) {
		t.Errorf("%q: code %d, out %q, stderr %q; want %d, %q, %q", args, got.code, got.out, got.stderr, code, out, stderr)
	}
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--wroker-dir", "x"}, "unknown flag --wroker-dir; did you mean --worker-dir?"},
		{[]string{"--nothing-like-it"}, "unknown flag --nothing-like-it\n"},
		{[]string{"-q"}, "unknown flag -q\n"},
		{[]string{"-vq"}, "unknown flag -q\n"},
		{[]string{"-c"}, "flag needs an argument"},
		{[]string{"-v", "extra"}, `unexpected argument "extra"`},
		{[]string{"-c", "x", "check"}, "a command comes first: gearman-manager check"},
		{[]string{"chekc"}, `unknown command "chekc"; did you mean "check"?`},
		{[]string{"frobnicate"}, "unknown command \"frobnicate\"\n"},
		{[]string{"help", "frobnicate"}, "no command; there are check, status, workers, why"},
		{[]string{"version", "x"}, "unexpected argument"},
		{[]string{"check", "x"}, "unexpected argument"},
		{[]string{"server", "x"}, "unexpected argument"},
		{[]string{"job"}, "want the name of one function and at most one text, got 0"},
		{[]string{"job", "a", "b", "c"}, "at most one text, got 3"},
		{[]string{"job", "--data", "x", "a", "b"}, "--data and a text behind the function exclude each other"},
		{[]string{"job", "--high", "--low", "f"}, "exclude each other"},
		{[]string{"job", "--at", "tomorrow", "f"}, `--at "tomorrow" is no time`},
		{[]string{"job", "--at", "+1h", "--epoch", "5", "f"}, "exclude each other"},
		{[]string{"job", "--epoch", "-5", "f"}, "before 1970"},
		{[]string{"job", "--at", "+1h", "--low", "f"}, "no priority"},
		{[]string{"job", "-h", "a:b:c", "f"}, "in brackets"},
		{[]string{"job", "--data", "", "--unique", strings.Repeat("u", 64), "f"}, "at most 63"},
		{[]string{"job", "--data", "", ""}, "names no function"},
		{[]string{"run"}, "want the name of one function"},
		{[]string{"status", "a", "b"}, "want the name of one function, got 2"},
		{[]string{"status", "--ready", "--json"}, "--ready answers by the exit code"},
		{[]string{"workers", "a", "b"}, "want the name of one function, got 2"},
		{[]string{"why"}, "want the name of one function, got 0"},
		{[]string{"pause"}, "want the name of one function, got 0"},
		{[]string{"drain", ""}, "want the name of one function"},
		{[]string{"resume", "a", "b"}, "want the name of one function, got 2"},
		{[]string{"restart", "a", "b"}, "want the name of one function, got 2"},
		{[]string{"scale"}, "want FUNCTION=SLOTS, got nothing"},
		{[]string{"scale", "a"}, `want FUNCTION=SLOTS, got "a"`},
		{[]string{"scale", "=3"}, `want FUNCTION=SLOTS, got "=3"`},
		{[]string{"scale", "a=x"}, `"x" is no number of slots`},
		{[]string{"scale", "a=-1"}, `"-1" is no number of slots`},
		{[]string{"scale", "a=1", "a=2"}, `"a" is named twice`},
		{[]string{"reload", "x"}, "unexpected argument"},
		{[]string{"reload", "--config-only", "--code-only"}, "exclude each other"},
		{[]string{"events", "a", "b"}, "want the name of one function, got 2"},
		{[]string{"logs", "a", "b"}, "at most one function or worker, got 2"},
		{[]string{"log-level", "a", "b"}, `"b" is no level, want 0 to 5`},
		{[]string{"log-level", "a", "b", "c"}, "at most a function and a level, got 3"},
		{[]string{"stop", "x"}, "unexpected argument"},
		{[]string{"completion"}, "want the name of one shell, bash, zsh, fish, got 0"},
		{[]string{"completion", "tcsh"}, `no completion for "tcsh"`},
		{[]string{"retry"}, "want the name of one function, got 0"},
		{[]string{"retry", "a", "b"}, "want the name of one function, got 2"},
		{[]string{"retry", ""}, "want the name of one function"},
		{[]string{"quarantine", "relaese"}, `want list or release, got "relaese"`},
		{[]string{"quarantine", "list", "x"}, "unexpected argument"},
		{[]string{"quarantine", "--all"}, "belong to release"},
		{[]string{"quarantine", "release"}, "want the handle of one job, or --all, got 0"},
		{[]string{"quarantine", "release", "--all", "H:a:1"}, "exclude each other"},
		{[]string{"quarantine", "release", "--json", "H:a:1"}, "--json belongs to list"},
		{[]string{"server", "-p", "99999"}, "invalid argument"},
		{[]string{"server", "-L", "127.0.0.1:1", "-p", "2"}, "two ports"},
		{[]string{"server", "-L", "a/b"}, "cannot be in a host name"},
		{[]string{"server", "-j", "-1"}, "is negative"},
		{[]string{"server", "--log-format", "xml"}, `log format "xml": want one of`},
		{[]string{"--log-format", "xml"}, "log format"},
	} {
		got := run(t, "", c.args...)
		if got.code != 2 || !strings.Contains(got.stderr, c.want) || !strings.Contains(got.stderr, "See: gearman-manager help") || got.out != "" {
			t.Errorf("%q: code %d, out %q, stderr %q, want 2 and %q", c.args, got.code, got.out, got.stderr, c.want)
		}
	}
}

func TestUsageErrorNamesTheCommandsHelp(t *testing.T) {
	t.Parallel()
	wantRun(t, 2, "", "See: gearman-manager help job\n", "job", "--hihg", "f")
}

// TestHelp compares the help of every command with what is written down.
func TestHelp(t *testing.T) {
	t.Parallel()
	for _, name := range cli.CommandNames() {
		file := filepath.Join("testdata", "help", strings.TrimSuffix("gearman-manager "+name, " ")+".txt")
		got := run(t, "", strings.Fields("help "+name)...)
		if got.code != 0 || got.stderr != "" {
			t.Errorf("help %s: %+v", name, got)
		}
		if *update {
			if err := os.WriteFile(file, []byte(got.out), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil || got.out != string(want) {
			t.Errorf("help %s differs from %s (-update writes it): %v\n%s", name, file, err, got.out)
		}
		for i, line := range strings.Split(got.out, "\n") {
			if len([]rune(line)) > 80 {
				t.Errorf("help %s, line %d is too long: %s", name, i+1, line)
			}
		}
		for _, flag := range []string{"-H", "--help"} {
			if again := run(t, "", append(strings.Fields(name), flag)...); again.out != got.out {
				t.Errorf("%s %s differs from help %s", name, flag, name)
			}
		}
	}
}

// TestCommandsReference compares the reference of the command line, which is the
// help of all commands, with what is committed.
func TestCommandsReference(t *testing.T) {
	t.Parallel()
	const file = "../../docs/reference/commands.md"
	var b strings.Builder
	b.WriteString("# The command line\n\nThis is what `gearman-manager help` says of itself and of each command. A test\ncompares the two; `go test ./internal/cli -update` writes this file.\n")
	for _, name := range cli.CommandNames() {
		title := strings.TrimSuffix("gearman-manager "+name, " ")
		b.WriteString("\n## " + title + "\n\n```\n" + run(t, "", strings.Fields("help "+name)...).out + "```\n")
	}
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != b.String() {
		t.Errorf("%s is not what the program's help says (-update writes it): %v", file, err)
	}
}

// TestEveryFlagOfGearmanManager: all letters are there, with a long name each.
func TestEveryFlagOfGearmanManager(t *testing.T) {
	t.Parallel()
	help := run(t, "", "--help").out
	for _, letter := range "acdDhHloprPtuvwxZ" {
		if !strings.Contains(help, "\n  -"+string(letter)+", --") {
			t.Errorf("no flag -%c with a long name", letter)
		}
	}
	for _, k := range config.Keys() {
		if k.Flag != "" && !strings.Contains(help, "\n  -"+k.Flag+", --") {
			t.Errorf("no flag -%s for the key %s", k.Flag, k.Name)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	wantRun(t, 0, "gearman-manager ", "", "version")
	wantRun(t, 0, "gearman-manager ", "", "--version")
}

func TestUnreachableServer(t *testing.T) {
	t.Parallel()
	wantRun(t, 3, "", "is it running?", "job", "-h", "127.0.0.1:1", "--data", "x", "f")
	wantRun(t, 3, "", "no job server can be reached", "job", "-h", "127.0.0.1:1,127.0.0.1:2", "-b", "--data", "x", "f")
}

func TestNothingToRunWithoutConfig(t *testing.T) {
	t.Parallel()
	wantRun(t, 1, "", "no config file was given: -c names one", "-w", t.TempDir())
}

func TestConfigWithErrorsIsRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "config.ini")
	if err := os.WriteFile(file, []byte("[GearmanManager]\ncount = many\n[f]\ntimeout = -1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"-c", file}, {"run", "-c", file, "f"}, {"job", "-c", file, "f"}} {
		wantRun(t, 1, "", file+":2: [GearmanManager] count: ", args...)
		wantRun(t, 1, "", "the config has 2 errors", args...)
	}
	wantRun(t, 1, "", "error: flag -D: count: ", "-D", "many")
	wantRun(t, 1, "", "no such config file", "-c", file+".not", "-w", t.TempDir())
}
