package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/cli"
	"github.com/gearman-manager/gearman-manager/internal/control"
)

// TestOperate: what each command asks of the manager, writes and returns.
func TestOperate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		command string
		asks    string
		code    int
		want    string // a regular expression of what is written
	}{
		{"status", "status  false", 0, `(?m)^resize +plugin +2/2 +1 +\? +\? +ready +resize$`},
		{"status resize", "status resize false", 0, `(?s)\nresize\n  version   1\.4 \(3f2a9b1c\)\n  slots     2 \(dedicated_count\) in 2 workers\n`},
		{"status --json", "status  false", 0, `"name": "resize",`},
		{"status --ready", "status  false", 0, `^ready\n$`},
		{"status nothing", "status nothing false", 1, `^gearman-manager: no pool performs nothing\n$`},
		{"workers", "status  true", 0, `(?m)^resize/1 +70 +ready +\? +\? +0 +12\.3M +3f2a9b1c +2m10s resize H:a:1\nresize/2\* +71 +ready +\? +\? +0 +\? +1\.3$`},
		{"workers resize --json", "status resize true", 0, `(?s)^\[\n  \{\n    "pool": "resize",.*"rss_bytes": 12900000`},
		{"why resize", "why resize", 0, `^! it is paused\n  all slots.{3} are busy\n\nSERVER +QUEUED +RUNNING +WORKERS +ERROR\na:4730 +12 +\? +\?\nb:4730 +\? +\? +\? +refused\n$`},
		{"why resize --json", "why resize", 0, `"code": "paused"`},
		{"why nothing", "why nothing", 1, "no pool performs nothing"},
		{"scale resize=8 *=2", "scale [{resize 8} {* 2}]", 0, "^resize: 8 slots\n\\*: 2 slots\n$"},
		{"scale a=b=1", "scale [{a=b 1}]", 0, "^a=b: 1 slot\n$"},
		{"scale resize=0 --json", "scale [{resize 0}]", 0, `"slots": 0`},
		{"restart", "restart ", 0, "^3 workers are replaced one by one\n$"},
		{"restart resize --json", "restart resize", 0, `"workers": 3`},
		{"restart nothing", "restart nothing", 1, "no pool"},
		{"pause resize", "pause resize", 0, "^no jobs of resize are taken\n$"},
		{"pause nothing", "pause nothing", 1, "no pool"},
		{"drain resize", "drain resize", 0, "^the workers of resize leave\n$"},
		{"resume resize", "resume resize", 0, "^resize is performed again\n$"},
		{"retry resize", "retry resize", 0, "^workers of resize are started\n$"},
		{"reload", "reload true true false", 0, "^nothing has changed\n$"},
		{"reload --config-only", "reload true false false", 0, "^nothing has changed\n$"},
		{"reload --code-only", "reload false true false", 0, "^nothing has changed\n$"},
		{"events --since 3 resize", "events 3 resize false", 0, `^\S+ \S+ INF worker ready worker=resize/1\n$`},
		{"events --json", "events 0  false", 0, `^\{"seq":5,"at":"2023-11-14T22:13:20Z","name":"worker_ready",`},
		{"logs", "logs  ", 0, "^resize/1  from\tbefore.{3}\\[2J\nresize/1 \\d\\d:\\d\\d:\\d\\d WARN  hot\n… 3 lines are missing here\n$"},
		{"logs resize/1", "logs  resize/1", 0, "hot"},
		{"logs odd/1", "logs  odd/1, logs odd/1 ", 0, "hot"},
		{"logs resize --json", "logs resize ", 0, `"text":"hot"`},
		{"logs nothing", "logs nothing ", 1, "no pool"},
		{"log-level", "", 0, `^the fleet: 0 \(error\)\n$`},
		{"log-level DEBUG", "level  4", 0, `^the fleet: 4 \(debug\)\n$`},
		{"log-level resize 2", "level resize 2", 0, `^resize: 2 \(proc\)\n$`},
		{"log-level nothing", "status nothing false", 1, "no pool performs nothing"},
		{"log-level 9", "", 2, `"9" is no level`},
		{"events -n -5", "", 2, "-n -5 is no number of events"},
		{"log-level resize", "status resize false", 0, `^resize: 0 \(error\), as the fleet\n$`},
		{"log-level default", "level  -1", 0, `^the fleet: -1`},
		{"log-level info --json", "level  1", 0, `"verbosity": 1`},
		{"quarantine release H:a:1", "release  H:a:1", 0, "^released 1 job\n$"},
		{"stop --no-wait", "stop", 0, "^the fleet stops\n$"},
	} {
		t.Run(c.command, func(t *testing.T) {
			t.Parallel()
			fleet, socket := startFleet(t)
			got := run(t, "", append(strings.Fields(c.command), "--socket", socket)...)
			if text := got.out + got.stderr; got.code != c.code || !regexp.MustCompile(strings.ReplaceAll(c.want, ".{3}", "�")).MatchString(text) {
				t.Errorf("code %d, %q, want %d and %s", got.code, text, c.code, c.want)
			}
			if (got.code == 0) != (got.stderr == "") {
				t.Errorf("code %d, but stderr %q", got.code, got.stderr)
			}
			if asked := fleet.took(); asked != c.asks {
				t.Errorf("asked for %q, want %q", asked, c.asks)
			}
			for line := range strings.Lines(got.out) {
				if !strings.Contains(c.command, "--json") && !strings.Contains(c.command, "workers") && len([]rune(strings.TrimRight(line, "\n"))) > 80 {
					t.Errorf("a line is longer than 80 letters: %s", line)
				}
			}
		})
	}
}

// TestOperateWithoutManager: every command says that there is none.
func TestOperateWithoutManager(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "none")
	for _, command := range []string{
		"status", "status --watch", "status --ready", "workers", "why f", "scale f=1", "scale f=1 --save", "restart", "reload", "pause f", "drain f", "resume f", "retry f",
		"quarantine", "events", "events -f", "logs", "logs -f", "log-level", "stop", "stop --no-wait",
	} {
		got := run(t, "", append(strings.Fields(command), "--socket", socket)...)
		if got.code != 3 || !strings.Contains(got.stderr, "no manager runs there") || got.out != "" {
			t.Errorf("%s: %+v", command, got)
		}
	}
}

// TestNotReady: what keeps a fleet from being ready, and what does not.
func TestNotReady(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*control.Status)
		want   string
	}{
		"nothing":         {func(*control.Status) {}, ""},
		"a slot":          {func(s *control.Status) { s.Pools[1].Workers[0].Ready = 2 }, "* has 2 of 3 slots registered"},
		"a worker":        {func(s *control.Status) { s.Pools[0].Workers = s.Pools[0].Workers[:1] }, "resize has 1 of 2 slots registered"},
		"cannot be run":   {func(s *control.Status) { s.Pools[0].Runs = false }, "resize cannot be run"},
		"no pools":        {func(s *control.Status) { s.Pools = nil }, "no pool of workers runs yet"},
		"drained":         {func(s *control.Status) { s.Pools[0].Workers, s.Pools[0].Drained = nil, []string{"resize"} }, ""},
		"half is drained": {func(s *control.Status) { s.Pools[1].Workers, s.Pools[1].Drained = nil, []string{"sum"} }, "* has 0 of 3 slots"},
		"leaving":         {func(s *control.Status) { s.Pools[0].Workers, s.Pools[0].Leaving = nil, true }, ""},
		"scaled to 0":     {func(s *control.Status) { s.Pools[0].Workers, s.Pools[0].Slots = nil, 0 }, ""},
	} {
		fleet, socket := startFleet(t)
		c.change(&fleet.status)
		got := run(t, "", "status", "--ready", "--socket", socket)
		if want := map[bool]int{true: 0, false: 1}[c.want == ""]; got.code != want || !strings.Contains(got.stderr, c.want) || strings.Count(got.out+got.stderr, "\n") != 1 {
			t.Errorf("%s: %+v, want %d, %q", name, got, want, c.want)
		}
	}
}

// TestReloadReport: what a reload does goes to standard output, what is wrong to
// standard error, and the exit code tells.
func TestReloadReport(t *testing.T) {
	t.Parallel()
	wrong := control.Problem{File: "/a.ini", Line: 3, Section: "resize", Key: "count", Severity: "error", Message: "want a number"}
	warning := control.Problem{File: "/a.ini", Line: 4, Severity: "warning", Message: "odd"}
	for name, c := range map[string]struct {
		report      control.ReloadReport
		code        int
		out, stderr string
	}{
		"changes": {control.ReloadReport{Changes: []control.PoolChange{{Pool: "resize", What: []string{"count 2 → 6", "timeout 3 → 4"}}, {Pool: "sum", What: []string{"removed"}}}, Problems: []control.Problem{warning}}, 0, "resize: count 2 → 6\nresize: timeout 3 → 4\nsum: removed\n", "warning: /a.ini:4: odd\n"},
		"refused": {control.ReloadReport{Refused: true, Problems: []control.Problem{wrong}}, 1, "", "error: /a.ini:3: [resize] count: want a number\ngearman-manager: the config has errors; the one before holds\n"},
		"broken":  {control.ReloadReport{Changes: []control.PoolChange{{Pool: "a", What: []string{"new"}}}, Problems: []control.Problem{wrong}}, 1, "a: new\n", "error: /a.ini:3: [resize] count: want a number\n"},
	} {
		fleet, socket := startFleet(t)
		fleet.report = c.report
		if got := run(t, "", "reload", "--socket", socket); got.code != c.code || got.out != c.out || got.stderr != c.stderr {
			t.Errorf("%s: %+v, want %d, %q, %q", name, got, c.code, c.out, c.stderr)
		}
		got := run(t, "", "reload", "--json", "--socket", socket)
		var report control.ReloadReport
		if err := json.Unmarshal([]byte(got.out), &report); err != nil || got.code != c.code || report.Refused != c.report.Refused {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// TestScaleSave: what is saved is what a fresh start makes of it.
func TestScaleSave(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ini, command string
		kind         string
		code         int
		want         string // in the file, or in the error
	}{
		{"[GearmanManager]\ncount = 3\n[resize] ; mine\ndedicated_count = 2\n", "resize=8", "plugin", 0, "count = 3\n[resize] ; mine\ndedicated_count = 8\n"},
		{"[GearmanManager]\ncount = 3\n[resize]\ncount = 20\n", "resize=8", "plugin", 0, "[resize]\ncount = 11\ndedicated_count = 8\n"},
		{"[GearmanManager]\ncount = 3\n[resize]\ncount = 11\n", "resize=8", "plugin", 0, "[resize]\ncount = 11\ndedicated_count = 8\n"},
		{"[GearmanManager]\ncount = 3\n[resize]\ncount = 9\n", "resize=8", "standalone", 0, "[resize]\ncount = 8\ndedicated_count = 8\n"},
		{"[GearmanManager]\n[resize]\ndedicated_only = 1\ndedicated_count = 1\ncount = 99\n", "resize=8", "plugin", 0, "dedicated_count = 8\ncount = 99\n"},
		{"[GearmanManager]\ndedicated_count = 2\n", "resize=8", "plugin", 0, "[resize]\ndedicated_count = 8\n"},
		{"[GearmanManager]\n", "resize=0", "plugin", 1, "cannot be saved, so nothing was scaled: no config means 0 workers of a function; want \"resize\" in exclude"},
		{"[GearmanManager]\n", "*=8", "plugin", 1, "cannot be saved, so nothing was scaled: * is a shared pool"},
		{"[GearmanManager]\n", "sum=8", "plugin", 1, "cannot be saved, so nothing was scaled: sum has no workers of its own"},
		{"[GearmanManager]\ncount = x\n", "resize=8", "plugin", 1, "has 1 error, see gearman-manager check -c"},
	} {
		fleet, socket := startFleet(t)
		file := filepath.Join(t.TempDir(), "a.ini")
		if err := os.WriteFile(file, []byte(c.ini), 0o600); err != nil {
			t.Fatal(err)
		}
		fleet.self.Config, fleet.status.Pools[0].Kind = file, c.kind
		got := run(t, "", "scale", "--save", c.command, "--socket", socket)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		switch asked := fleet.took(); {
		case got.code != c.code:
			t.Errorf("%q: %+v", c.ini, got)
		case c.code == 0:
			if !strings.Contains(string(text), c.want) || !strings.Contains(got.out, "saved: "+file+": [resize] dedicated_count = 8\n") || !strings.Contains(asked, "scale [{resize 8}]") {
				t.Errorf("%q: %q, asked %s, %+v, want %q", c.ini, text, asked, got, c.want)
			}
			if _, problems := config.Load(file, nil); len(problems) > 0 {
				t.Error(problems)
			}
		case string(text) != c.ini || strings.Contains(asked, "scale") || !strings.Contains(got.stderr, c.want):
			t.Errorf("%q: %q, asked %s, %+v, want %q", c.ini, text, asked, got, c.want)
		}
	}
	fleet, socket := startFleet(t)
	wantRun(t, 1, "", "the manager was started without a config file", "scale", "--save", "resize=3", "--socket", socket)
	fleet.self.Config = "/etc/config.php"
	wantRun(t, 1, "", "/etc/config.php is PHP, want dedicated_count set there by hand", "scale", "--save", "resize=3", "--socket", socket)
}

// TestStopWaits: stop returns when the manager has said its last, but its process, which
// is that of the test, lives on, so that it takes a signal.
func TestStopWaits(t *testing.T) {
	t.Parallel()
	fleet, socket := startFleet(t)
	signals, done := make(chan os.Signal), make(chan int)
	go func() { done <- runWith(t, signals, "stop", "--socket", socket) }()
	<-fleet.ended
	signals <- syscall.SIGINT
	if code := <-done; code != 130 {
		t.Errorf("code %d, want 130", code)
	}
}

// TestFollowed: what is followed ends with a signal, about which nothing is said.
func TestFollowed(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"events -f", "events -f --json", "status --watch", "status -w --json", "status -w resize"} {
		_, socket := startFleet(t)
		signals, out := make(chan os.Signal), &firstWrite{came: make(chan struct{})}
		done := make(chan int)
		var stderr bytes.Buffer
		go func() {
			done <- cli.Main(context.WithoutCancel(t.Context()), append([]string{"gearman-manager"}, append(strings.Fields(command), "--socket", socket)...), strings.NewReader(""), out, &stderr, signals)
		}()
		<-out.came
		signals <- syscall.SIGINT
		if code := <-done; code != 130 || stderr.Len() > 0 {
			t.Errorf("%s: code %d, %q", command, code, stderr.String())
		}
	}
}

// runWith runs the program with signals.
func runWith(t *testing.T, signals <-chan os.Signal, args ...string) int {
	t.Helper()
	var out, stderr bytes.Buffer
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	return cli.Main(ctx, append([]string{"gearman-manager"}, args...), strings.NewReader(""), &out, &stderr, signals)
}

// firstWrite tells of the first write.
type firstWrite struct {
	came chan struct{}
	had  bool
}

func (w *firstWrite) Write(p []byte) (int, error) {
	if !w.had {
		w.had = true
		close(w.came)
	}
	return len(p), nil
}
