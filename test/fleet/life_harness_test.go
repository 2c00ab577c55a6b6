package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/control"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
)

// lifeKind is a kind of worker that performs act, see torture/life.
type lifeKind struct {
	name    string
	global  string   // lines of [GearmanManager]
	section string   // lines of [act]
	slow    []string // what act does for a minute, or for ever
	deadly  []string // what act does that its process does not survive
}

// The kinds that take jobs from the manager's own code.
func lifeKinds() []lifeKind {
	return []lifeKind{
		{"plugin", "worker_dir = LIFE\n", "", []string{"sleep", "deaf", "busy", "stuck"}, []string{"segv", "exit", "grow"}},
		{"php", "worker_dir = PHP/life\nphp_args = -d memory_limit=-1\n", "", []string{"sleep", "busy", "stuck"}, []string{"segv", "kill"}},
		{"exec", "worker_dir = DIR\n", "command = sh ACT\n", []string{"sleep", "busy", "stuck"}, []string{"segv"}},
	}
}

// lifeKindOf is the kind of that name.
func lifeKindOf(name string) lifeKind {
	kinds := lifeKinds()
	return kinds[slices.IndexFunc(kinds, func(k lifeKind) bool { return k.name == name })]
}

// lifeFleet is a fleet whose log is read by the test.
type lifeFleet struct {
	*phpFleet // for its processes; they need not be PHP
	config    string
}

// newLife prepares a fleet with workers of a kind.
func newLife(tb testing.TB, kind string) *lifeFleet {
	tb.Helper()
	php := ""
	if kind == "php" {
		php = testutil.Need(tb, "php", "php-cli")
	}
	return &lifeFleet{phpFleet: phpFleetOf(tb, php, newFleet(tb))}
}

// startKind starts a fleet that performs act alone, with further lines for
// [GearmanManager] and for [act].
func (f *lifeFleet) startKind(k lifeKind, global, section string, args ...string) {
	f.tb.Helper()
	f.startLife("include = act\n"+k.global+global+"[act]\ndedicated_only = 1\n"+k.section+section, args...)
}

// startLife starts a fleet with lines of a config, in which LIFE, PHP, ACT and DIR
// stand for the directories of the plugin and of the PHP files, the executable, and
// the fleet's own directory. It logs JSON.
func (f *lifeFleet) startLife(ini string, args ...string) {
	f.tb.Helper()
	act, err := filepath.Abs("torture/life/act.sh")
	if err != nil {
		f.tb.Fatal(err)
	}
	ini = strings.NewReplacer("LIFE", filepath.Join(bin, "life"), "PHP/", f.sources+"/", "ACT", act, "DIR", f.dir).Replace(ini)
	f.config = filepath.Join(f.dir, "config.ini")
	if err := os.WriteFile(f.config, []byte("[GearmanManager]\nhost = "+f.server.Addr()+"\n"+ini), 0o600); err != nil {
		f.tb.Fatal(err)
	}
	f.tb.Cleanup(f.killPHP) // runs after the manager has been killed
	f.run(f.dir, nil, append([]string{"-c", f.config, "--log-format", "json"}, args...)...)
}

// stopLife stops the fleet, and looks that nothing is left of it.
func (f *lifeFleet) stopLife() {
	f.tb.Helper()
	f.stopPHP()
}

// logLine is a line of the log.
type logLine map[string]any

func (l logLine) text(key string) string { text, _ := l[key].(string); return text }
func (l logLine) number(key string) int  { n, _ := l[key].(float64); return int(n) }
func (l logLine) texts(key string) []any { list, _ := l[key].([]any); return list }
func (l logLine) message() string        { return l.text("message") }

// lines are those of the log that test holds for.
func (f *lifeFleet) lines(test func(logLine) bool) []logLine {
	f.tb.Helper()
	var found []logLine
	for line := range strings.Lines(f.log.String()) {
		var l logLine
		if !strings.HasSuffix(line, "\n") {
			break // it is being written
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			f.tb.Errorf("a line of the log is not JSON: %v: %s", err, line)
		} else if test(l) {
			found = append(found, l)
		}
	}
	return found
}

// said are the lines with a message.
func (f *lifeFleet) said(message string) []logLine {
	f.tb.Helper()
	return f.lines(func(l logLine) bool { return l.message() == message })
}

// ends are the lines that explain ends of processes that were not planned.
func (f *lifeFleet) ends() []logLine {
	f.tb.Helper()
	return f.lines(func(l logLine) bool { return l.message() == "worker crashed" || l.message() == "killed worker ended" })
}

// waitSaid waits until the log has n lines with a message.
func (f *lifeFleet) waitSaid(message string, n int) time.Duration {
	f.tb.Helper()
	return testutil.WaitFor(f.tb, fmt.Sprintf("%d lines %q", n, message), func() bool { return len(f.said(message)) >= n })
}

// ask runs a command of the program about the fleet, and returns what it prints.
func (f *lifeFleet) ask(args ...string) string {
	f.tb.Helper()
	cmd := exec.CommandContext(f.ctx(), filepath.Join(bin, "gearman-manager"), append(args, "-c", f.config)...)
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		f.tb.Fatalf("gearman-manager %v: %v", args, err)
	}
	return string(out)
}

// pool is what "status" says of a pool.
func (f *lifeFleet) pool(name string) control.Pool {
	f.tb.Helper()
	var s control.Status
	if err := json.Unmarshal([]byte(f.ask("status", "--json")), &s); err != nil {
		f.tb.Fatal(err)
	}
	for _, p := range s.Pools {
		if p.Name == name {
			return p
		}
	}
	f.tb.Fatalf("status does not know the pool %s: %+v", name, s)
	return control.Pool{}
}

// pids are the processes of a pool's workers, by worker.
func (f *lifeFleet) pids(pool string) map[string]int {
	f.tb.Helper()
	found := map[string]int{}
	for _, w := range f.pool(pool).Workers {
		if w.PID != 0 {
			found[w.Name] = w.PID
		}
	}
	return found
}

// quarantined are the jobs that "quarantine" lists as not run again.
func (f *lifeFleet) quarantined() []control.SuspectJob {
	f.tb.Helper()
	var q control.Quarantine
	if err := json.Unmarshal([]byte(f.ask("quarantine", "--json")), &q); err != nil {
		f.tb.Fatal(err)
	}
	return slices.DeleteFunc(q.Jobs, func(j control.SuspectJob) bool { return !j.Quarantined })
}

// wantEmpty looks that the server has no job, running or waiting.
func (f *lifeFleet) wantEmpty() {
	f.tb.Helper()
	for _, s := range f.status() {
		if s.Total != 0 || s.Running != 0 {
			f.tb.Errorf("gearmand still has jobs: %+v", s)
		}
	}
}

// notes is a file in which a job notes its runs.
type notes string

func (f *lifeFleet) newNotes(name string) notes {
	return notes(filepath.Join(f.dir, "runs-"+name))
}

// noted is a run that a job has noted.
type noted struct {
	pid   int
	at    time.Time
	alive bool // the process of the run before was there
}

// runs are those that are noted.
func (n notes) runs(tb testing.TB) []noted {
	tb.Helper()
	text, err := os.ReadFile(string(n))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		tb.Fatal(err)
	}
	var all []noted
	for line := range strings.Lines(string(text)) {
		var r noted
		var at int64
		var alive int
		if _, err := fmt.Sscan(line, &r.pid, &at, &alive); err != nil {
			tb.Fatalf("notes: %q: %v", line, err)
		}
		r.at, r.alive = time.Unix(0, at), alive != 0
		all = append(all, r)
	}
	return all
}

// wantRuns looks that the job ran so often, and never twice at the same time.
func (n notes) wantRuns(tb testing.TB, least, most int) []noted {
	tb.Helper()
	all := n.runs(tb)
	if len(all) < least || len(all) > most {
		tb.Errorf("%s: the job ran %d times, want %d to %d: %v", filepath.Base(string(n)), len(all), least, most, all)
	}
	for i, r := range all {
		if r.alive {
			tb.Errorf("%s: run %d began while the process of the one before was there: %v", filepath.Base(string(n)), i+1, all)
		}
	}
	return all
}

// act has the function act do something, and says how long that took.
func (f *lifeFleet) act(word string, n notes) (string, time.Duration, error) {
	began := time.Now()
	text, err := f.do("act", word+" "+string(n)+" ")
	return text, time.Since(began), err
}

// wantException looks that the client was told one.
func (f *lifeFleet) wantException(what, text string, err error) {
	f.tb.Helper()
	if _, ok := errors.AsType[*gearclient.ExceptionError](err); !ok {
		f.tb.Errorf("%s: the client was told %q, %v, want an exception", what, text, err)
	}
}

// goodJobs has n jobs answered, so many at a time, and looks at each answer.
// started is closed when a tenth of them is done.
func (f *lifeFleet) goodJobs(n, inFlight int) (started chan struct{}, wait func()) {
	var (
		next, done atomic.Int64
		all        sync.WaitGroup
	)
	started = make(chan struct{})
	ctx := f.ctx()
	for range inFlight {
		client := jobtest.NewClient(f.tb, f.server.Addr())
		all.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				want := strconv.FormatInt(i, 10)
				got, err := client.Do(ctx, gearclient.Request{Function: "act", Workload: []byte("echo - " + want + " ")})
				if err != nil || string(got) != want {
					f.tb.Errorf("good job %s: %q, %v", want, got, err)
				}
				if done.Add(1) == int64(n)/10 {
					close(started)
				}
			}
		})
	}
	return started, all.Wait
}
