package fleet

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// styles are the functions of the worker files that need nothing but
// worker_dir.
const styles = "reverse,Tally,typed,alone,including,inspect,report,refuse,prints,nap,duplicate,dies,shout,welcome,Sum,Length"

// stylesConfig has them performed by one worker each.
const stylesConfig = "worker_dir = PHP/workers,PHP/more,PHP/app/workers,PHP/pear\ninclude = " + styles + "\n"

// TestPHPWorkerFiles runs worker files in every style, in every setup, on both
// job servers, for every kind of client.
func TestPHPWorkerFiles(t *testing.T) {
	t.Parallel()
	for _, setup := range phpSetups() {
		for name, start := range map[string]func(testing.TB) *phpFleet{"gearmand": newPHPFleet, "embedded": newPHPFleetEmbedded} {
			t.Run(setup.name+" on "+name, func(t *testing.T) {
				t.Parallel()
				f := start(t)
				f.startPHP(setup, stylesConfig)
				f.waitAll(styles, 1)
				f.checkStyles()
				f.checkJob(setup)
				f.checkReports()
				f.checkPrints()
				f.checkPear()
				f.checkTools()
				f.checkClient()
				f.stopPHP()
			})
		}
	}
}

// waitAll waits until just so many workers perform each of the functions.
func (f *phpFleet) waitAll(functions string, n int) {
	f.tb.Helper()
	want := map[string]int{}
	for function := range strings.SplitSeq(functions, ",") {
		want[function] = n
	}
	f.waitRegistered(want)
}

// checkStyles calls what is written in every style.
func (f *phpFleet) checkStyles() {
	f.tb.Helper()
	f.wantPHP("reverse", "Hello World!", "!dlroW olleH")
	f.waitLog("reversing Hello World!", strings.Repeat("L", 256), "key of the log", "value of the log", "4711")
	if strings.Contains(f.log.String(), "Ltoo long") {
		f.tb.Error("a line of $log was not cut after 256 bytes")
	}
	f.wantPHP("typed", "abc", "ABC")
	f.wantPHP("alone", "abc", "<abc>")
	f.wantPHP("including", "ab", "abababababab")
	f.wantPHP("shout", "hey", "HEY!")
	f.wantPHP("welcome", "Ada", "Hello Ada!")
	f.wantPHP("duplicate", allBytes(), allBytes())
	f.wantPHP("duplicate", "", "")
	first, err := f.do("Tally", "")
	made, calls, _ := strings.Cut(first, " ")
	if err != nil || calls != "1" {
		f.tb.Errorf("Tally: %q, %v", first, err)
	}
	for n := 2; n < 5; n++ {
		f.wantPHP("Tally", "", fmt.Sprint(made, " ", n))
	}
}

// checkJob looks at what a job says of itself.
func (f *phpFleet) checkJob(setup phpSetup) {
	f.tb.Helper()
	result, err := f.client.Do(f.ctx(), gearclient.Request{Function: "inspect", Unique: "a key", Workload: []byte("a workload")})
	text := string(result)
	var got struct {
		Workload, Function, Handle, Unique, Worker string
		WorkloadSize, ReturnCode, PID              int
		Gearman, Class                             bool
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), &got)
	}
	if err != nil {
		f.tb.Errorf("inspect: %q, %v", text, err)
		return
	}
	if got.Workload != "a workload" || got.WorkloadSize != 10 || got.Function != "inspect" || got.Unique != "a key" || got.ReturnCode != 0 || !got.Class {
		f.tb.Errorf("inspect: %s", text)
	}
	if !strings.HasPrefix(got.Handle, "H:") {
		f.tb.Errorf("inspect: handle %q", got.Handle)
	}
	if pid := f.phpWorkers()["inspect/1"]; got.PID != pid || got.Worker != "inspect/1" {
		f.tb.Errorf("inspect: process %d of worker %q, want %d of inspect/1", got.PID, got.Worker, pid)
	}
	if setup.lack == "gearman" && got.Gearman {
		f.tb.Error("inspect: the extension gearman is loaded, and should not be")
	}
}

// checkReports listens to jobs that say something before they end, and to
// those that end badly.
func (f *phpFleet) checkReports() {
	f.tb.Helper()
	want := []string{"status 1/4", "data some data", "warning a warning", "status 4/4", "complete the end"}
	for _, names := range []string{"old", "new"} {
		if got := f.trace("report", names); !slices.Equal(got, want) {
			f.tb.Errorf("report under the %s names: %q, want %q", names, got, want)
		}
	}
	for how, want := range map[string]string{
		"fail": "fail", "sendFail": "fail", "setReturn": "fail",
		"exception": "exception refused", "sendException": "exception refused",
	} {
		if got := f.trace("refuse", how); !slices.Equal(got, []string{want}) {
			f.tb.Errorf("refuse by %s: %q, want %q", how, got, want)
		}
	}
}

// checkPrints has a job print everywhere: nothing of it reaches the client,
// and everything the log.
func (f *phpFleet) checkPrints() {
	f.tb.Helper()
	f.wantPHP("prints", "x", "read false")
	f.wantPHP("prints", "x", "read false") // ends the line that the first time has left open
	f.waitLog("echoed", "printed", "var dumped", "formatted", "to STDOUT", "to STDERR", "to php://stdout", "to php://stderr",
		"to php://output", "to the error log", "a notice to the user", "in a buffer", "without a line end")
	f.wantPHP("reverse", "abc", "cba")
}

// checkPear calls jobs of PEAR's Net_Gearman.
func (f *phpFleet) checkPear() {
	f.tb.Helper()
	said := f.trace("Sum", "[1,2,3]")
	if want := []string{"status 1/3", "status 2/3", "status 3/3"}; len(said) != 4 || !slices.Equal(said[:3], want) {
		f.tb.Errorf("Sum: %q, want %q first", said, want)
	}
	last := said[len(said)-1]
	if !regexp.MustCompile(`^complete \{"sum":6,"handle":"H:[^"]*"\}$`).MatchString(last) {
		f.tb.Errorf("Sum: %q", last)
	}
	if got := f.trace("Sum", "no list"); !slices.Equal(got, []string{"fail"}) {
		f.tb.Errorf("Sum of no list: %q, want it to fail", got)
	}
	f.wantPHP("Length", `"four"`, `{"result":4}`)
	f.wantPHP("Length", "no JSON", `{"result":7}`)
	f.waitLog("measured four", "measured no JSON")
}

// checkTools submits with Debian's client and with our own.
func (f *phpFleet) checkTools() {
	f.tb.Helper()
	if got := f.tool([]byte("Hello"), "gearman", "-f", "reverse"); got != "olleH" {
		f.tb.Errorf("gearman -f reverse: %q", got)
	}
	if got := f.tool([]byte(allBytes()), "gearman", "-f", "duplicate"); got != allBytes() {
		f.tb.Errorf("gearman -f duplicate: %q", got)
	}
	f.tool([]byte("in the background"), "gearman", "-b", "-f", "reverse")
	f.waitLog("reversing in the background")
	for _, c := range []struct{ function, workload, stdout, stderr string }{
		{"reverse", "Hello", "olleH", ""},
		{"report", "new", "some datathe end", "a warning"},
		{"dies", "exception", "", "boo from an exception"},
	} {
		stdout, stderr := f.submit(c.function, c.workload)
		if stdout != c.stdout || !strings.Contains(stderr, c.stderr) {
			f.tb.Errorf("gearman-manager job %s: %q and %q, want %q and %q", c.function, stdout, stderr, c.stdout, c.stderr)
		}
	}
}

// submit has a job done by "gearman-manager job" and returns what it prints.
func (f *phpFleet) submit(function, workload string) (stdout, stderr string) {
	f.tb.Helper()
	var out, problems strings.Builder
	cmd := exec.CommandContext(f.ctx(), filepath.Join(bin, "gearman-manager"), "job", "-h", f.server.Addr(), function, workload)
	cmd.Stdout, cmd.Stderr = &out, &problems
	_ = cmd.Run() // the job may fail as the test wants it
	return out.String(), problems.String()
}

// checkClient submits with PHP's GearmanClient.
func (f *phpFleet) checkClient() {
	f.tb.Helper()
	php := needPecl(f.tb)
	cmd := exec.CommandContext(f.ctx(), php, filepath.Join(f.sources, "client.php"), f.server.Host, f.server.Port)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	var got struct {
		Normal, High, Low, Binary, Report, Refuse []string
		Background                                []bool
		Tasks                                     map[string][]string
	}
	if err == nil {
		err = json.Unmarshal(out, &got)
	}
	if err != nil {
		f.tb.Errorf("client.php: %v\n%s", err, out)
		return
	}
	thrown := got.Tasks["throws"]
	delete(got.Tasks, "throws")
	want := got
	want.Normal, want.High, want.Low = []string{"complete olleH"}, []string{"complete olleH"}, []string{"complete olleH"}
	want.Binary = []string{"complete 1 2 3 4 5 6 7 8 9"}
	want.Report = []string{"complete some datathe end"}
	want.Refuse = []string{"failed"}
	want.Background = []bool{true, false}
	want.Tasks = map[string][]string{
		"reverse": {"complete cba"},
		"report":  {"status 1/4", "data some data", "warning a warning", "status 4/4", "complete the end"},
		"fails":   {"fail"},
		"refuses": {"exception refused"},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		f.tb.Errorf("client.php:\n got %+v\nwant %+v", got, want)
	}
	if len(thrown) == 0 || !strings.HasPrefix(thrown[0], "exception ") || !strings.Contains(thrown[0], "boo from an exception") {
		f.tb.Errorf("client.php: the job that throws: %q", thrown)
	}
}

// TestPHPJobSubmitsJobs has a job wait for another, which it submits with
// pecl/gearman.
func TestPHPJobSubmitsJobs(t *testing.T) {
	t.Parallel()
	needPecl(t)
	f := newPHPFleet(t)
	f.startPHP(phpSetup{}, "worker_dir = PHP/workers\ninclude = conduct,reverse\n")
	f.waitAll("conduct,reverse", 1)
	for range 3 {
		f.wantPHP("conduct", fmt.Sprintf(`$client = new GearmanClient(); $client->addServer("127.0.0.1", %s); return $client->doNormal("reverse", "abc");`, f.server.Port), "cba")
	}
	f.stopPHP()
}

// TestPHPPrefix has functions and classes found under names with a prefix,
// which may be a namespace.
func TestPHPPrefix(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ini  string
		want map[string]string // result of the workload "x" by function
	}{
		"prefix":    {"worker_dir = PHP/prefixed\nprefix = job_\n", map[string]string{"resize": "resized x", "Rotate": "rotated x"}},
		"namespace": {"worker_dir = PHP/namespaced\nprefix = Acme\\Jobs\\\n", map[string]string{"Greet": `Acme\Jobs\Greet greets x`, "leave": `Acme\Jobs\leave leaves x`}},
	} {
		for _, setup := range phpSetups() {
			t.Run(name+" "+setup.name, func(t *testing.T) {
				t.Parallel()
				f := newPHPFleet(t)
				f.startPHP(setup, c.ini)
				for function, want := range c.want {
					f.waitAll(function, 1)
					f.wantPHP(function, "x", want)
				}
				f.stopPHP()
			})
		}
	}
}

// TestPHPModePear says of a class what it is.
func TestPHPModePear(t *testing.T) {
	t.Parallel()
	f := newPHPFleet(t)
	f.startPHP(phpSetup{}, "worker_dir = PHP/pear\n[Sum]\nmode = pear\n[Length]\nmode = pear\n")
	f.waitAll("Sum,Length", 1)
	f.checkPear()
	f.stopPHP()
}

// TestPHPConfigInPHP reads a config that is PHP.
func TestPHPConfigInPHP(t *testing.T) {
	t.Parallel()
	f := newPHPFleet(t)
	f.write("config.php", fmt.Sprintf(`<?php
$dir = %q;
$gearman_config = [
    'GearmanManager' => ['host' => [%q], 'worker_dir' => ["$dir/workers", "$dir/more"], 'include' => 'reverse,shout'],
    'shout' => ['dedicated_only' => true, 'dedicated_count' => 1 + 1],
];
`, f.sources, f.server.Addr()))
	f.run(f.dir, nil, "-c", filepath.Join(f.dir, "config.php"), "-vvv")
	f.waitRegistered(map[string]int{"reverse": 1, "shout": 2})
	f.wantPHP("reverse", "abc", "cba")
	f.stopPHP()
}

// TestPHPAutoloader finds the autoloader in the worker directory, beside it and
// above it.
func TestPHPAutoloader(t *testing.T) {
	t.Parallel()
	for name, at := range map[string][2]string{
		"in":     {"app/workers/vendor", "app/workers"},
		"beside": {"app/vendor", "app/workers"},
		"above":  {"vendor", "app/workers"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newPHPFleet(t)
			f.copyTo("php/app/vendor/autoload.php", at[0]+"/autoload.php")
			f.copyTo("php/app/src/Greeter.php", filepath.Dir(at[0])+"/src/Greeter.php")
			f.copyTo("php/app/workers/welcome.php", at[1]+"/welcome.php")
			f.startPHP(phpSetup{}, "worker_dir = DIR/app/workers\n")
			f.waitAll("welcome", 1)
			f.wantPHP("welcome", "Ada", "Hello Ada!")
		})
	}
}

// copyTo copies a file of the sources into the fleet's directory.
func (f *phpFleet) copyTo(from, to string) {
	f.tb.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		f.tb.Fatal(err)
	}
	f.write(to, string(text))
}

// write writes a file of the fleet's directory.
func (f *phpFleet) write(name, text string) {
	f.tb.Helper()
	path := filepath.Join(f.dir, name)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o644)
	}
	if err != nil {
		f.tb.Fatal(err)
	}
}

// TestPHPSharedPool has one worker perform all functions, those of high
// priority first.
func TestPHPSharedPool(t *testing.T) {
	t.Parallel()
	for _, setup := range phpSetups() {
		t.Run(setup.name, func(t *testing.T) {
			t.Parallel()
			f := newPHPFleet(t)
			f.startPHP(setup, "worker_dir = PHP/turns\ncount = 1\n[high]\npriority = 5\n[low]\npriority = -5\n")
			f.waitAll("block,low,middle,high", 1)
			free := filepath.Join(f.dir, "free")
			blocked := f.async("block", free)
			f.waitRunning("block", 1)
			var order []<-chan answer
			for _, function := range []string{"low", "middle", "high"} {
				for range 2 {
					order = append([]<-chan answer{f.async(function, "")}, order...)
				}
				f.waitQueued(function, 2)
			}
			f.write("free", "")
			pid := testutil.Receive(t, "the end of what blocks", blocked).text
			for i, turn := range inOrder(t, order) {
				if want := fmt.Sprint(pid, " ", i+1); turn != want {
					t.Errorf("turn %d went to %q, want %q", i+1, turn, want)
				}
			}
			if n := len(f.phpWorkers()); n != 1 {
				t.Errorf("%d workers, want 1: %v", n, f.phpWorkers())
			}
			f.stopPHP()
		})
	}
}

// inOrder receives answers; those of a function may come in any order.
func inOrder(t *testing.T, answers []<-chan answer) []string {
	t.Helper()
	var turns []string
	for i := 0; i < len(answers); i += 2 {
		pair := []string{
			testutil.Receive(t, "an answer", answers[i]).text,
			testutil.Receive(t, "an answer", answers[i+1]).text,
		}
		slices.Sort(pair)
		turns = append(turns, pair...)
	}
	return turns
}

// waitQueued waits until so many jobs of a function queue.
func (f *phpFleet) waitQueued(function string, n int) {
	f.tb.Helper()
	testutil.WaitFor(f.tb, fmt.Sprintf("%d jobs of %s to queue", n, function), func() bool {
		for _, s := range f.status() {
			if s.Function == function {
				return s.Total-s.Running == n
			}
		}
		return false
	})
}
