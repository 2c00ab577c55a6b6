package cli_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/gearclient/geartest"
	"github.com/gearman-manager/gearman-manager/gearclient/wire"
	"github.com/gearman-manager/gearman-manager/internal/cli"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
)

// buffer is a writer that one goroutine writes and another reads.
type buffer struct{ testutil.Buffer }

// await waits until the buffer matches, and returns the first group.
func (b *buffer) await(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(testutil.Patience); time.Now().Before(end); <-tick.C {
		if m := re.FindStringSubmatch(b.String()); m != nil {
			return m[len(m)-1]
		}
	}
	t.Fatalf("%s does not come: %s", pattern, b.String())
	return ""
}

// process is a run of the program that takes signals.
type process struct {
	out, stderr buffer
	signals     chan os.Signal
	code        chan int
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{signals: make(chan os.Signal, 8), code: make(chan int, 1)}
	go func() {
		p.code <- cli.Main(context.Background(), append([]string{"gearman-manager"}, args...), strings.NewReader(""), &p.out, &p.stderr, p.signals)
	}()
	return p
}

// wait waits for the end.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	select {
	case code := <-p.code:
		return code
	case <-time.After(testutil.Patience):
		t.Fatalf("does not end: %s", p.stderr.String())
		return -1
	}
}

// startServer runs the embedded job server until the test's end.
func startServer(t *testing.T) (addr string) {
	t.Helper()
	p := start(t, "server", "--listen", "127.0.0.1:0", "--log-format", "json")
	t.Cleanup(func() {
		p.signals <- syscall.SIGTERM
		if code := p.wait(t); code != 0 {
			t.Errorf("the server ended with %d: %s", code, p.stderr.String())
		}
	})
	return p.stderr.await(t, `"address":"([^"]+)".*job server started`)
}

// work performs the jobs of the test: the workload says how.
func work(t *testing.T, addr string) {
	t.Helper()
	jobtest.StartWorker(t, gearclient.WorkerConfig{
		Servers: []string{addr}, Functions: []string{"act"},
		Handler: func(_ context.Context, job *gearclient.Job) gearclient.Result {
			switch string(job.Workload()) {
			case "fail":
				return gearclient.Result{Outcome: gearclient.Failed}
			case "raise":
				return gearclient.Result{Outcome: gearclient.Raised, Data: []byte("what went wrong")}
			case "report":
				_ = job.Data([]byte("first part, "))
				_ = job.Status(1, 2)
				_ = job.Warning([]byte("careful"))
			}
			return gearclient.Result{Data: append([]byte("did "), job.Workload()...)}
		},
	})
}

func TestJob(t *testing.T) {
	t.Parallel()
	addr := startServer(t)
	work(t, addr)
	for _, c := range []struct {
		stdin string
		args  []string
		want  result
	}{
		{"\x00binary\n", []string{"act"}, result{0, "did \x00binary\n", ""}},
		{"", []string{"act"}, result{0, "did ", ""}},
		{"not read", []string{"--data", "", "act"}, result{0, "did ", ""}},
		{"", []string{"--high", "--data", "it", "act"}, result{0, "did it", ""}},
		{"not read", []string{"act", "this and that"}, result{0, "did this and that", ""}},
		{"not read", []string{"act", ""}, result{0, "did ", ""}},
		{"", []string{"act", "--low", "--unique", "-", "--data=it"}, result{0, "did it", ""}},
		{"report", []string{"act"}, result{0, "first part, did report", "warning: careful\n"}},
		{"raise", []string{"act"}, result{1, "", "what went wrong\n"}},
		{"12345", []string{"--max-data", "4", "act"}, result{1, "", "gearman-manager: the workload on standard input has more than 4 bytes; --max-data sets another limit\n"}},
	} {
		if got := run(t, c.stdin, append([]string{"job", "-h", addr}, c.args...)...); got != c.want {
			t.Errorf("%q: %+v, want %+v", c.args, got, c.want)
		}
	}
	got := run(t, "fail", "job", "-h", addr, "act")
	if got.code != 1 || !regexp.MustCompile(`^gearman-manager: job H:\S+ on \S+ failed\n$`).MatchString(got.stderr) {
		t.Errorf("failure: %+v", got)
	}
}

func TestJobInTheBackground(t *testing.T) {
	t.Parallel()
	addr := startServer(t)
	for i, args := range [][]string{{"-b"}, {"--background", "--low"}, {"--at", "+1h"}, {"--epoch", "1900000000"}} {
		got := run(t, "x", append(append([]string{"job", "-h", addr}, args...), "nobody")...)
		if want := fmt.Sprintf(`^H:.*:%d\n$`, i+1); got.code != 0 || !regexp.MustCompile(want).MatchString(got.out) || got.stderr != "" {
			t.Errorf("%q: %+v", args, got)
		}
	}
}

func TestJobUsesTheHostsOfTheConfig(t *testing.T) {
	t.Parallel()
	addr := startServer(t)
	file := t.TempDir() + "/config.ini"
	if err := os.WriteFile(file, []byte("[GearmanManager]\nhost = "+addr+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := run(t, "", "job", "-c", file, "-b", "--data", "", "f"); got.code != 0 {
		t.Errorf("%+v", got)
	}
}

func TestJobGivesUp(t *testing.T) {
	t.Parallel()
	addr := startServer(t)
	if got := run(t, "", "job", "-h", addr, "--wait", "20ms", "nobody"); got.code != 1 || !strings.Contains(got.stderr, "no result after 20ms (--wait)") {
		t.Errorf("%+v", got)
	}
	for signal, code := range map[os.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		p := start(t, "job", "-h", addr, "nobody")
		p.signals <- syscall.SIGHUP // does nothing
		p.signals <- signal
		if got := p.wait(t); got != code || !strings.Contains(p.stderr.String(), "ended by a signal") {
			t.Errorf("%v: code %d, %s", signal, got, p.stderr.String())
		}
	}
}

func TestJobLosesItsServer(t *testing.T) {
	t.Parallel()
	s := geartest.Start(t, geartest.Conn(
		geartest.Expect(wire.OptionReq, "exceptions"), geartest.Expect(wire.SubmitJob, "f", "", ""),
		geartest.Send(wire.JobCreated, "H:1"), geartest.Close()))
	if got := run(t, "", "job", "-h", s.Addr(), "f"); got.code != 3 || !strings.Contains(got.stderr, "lost, job H:1") {
		t.Errorf("%+v", got)
	}
}

func TestServerStopsOnSignals(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		p := start(t, "server", "-L", "127.0.0.1:0", "-vv")
		addr := p.stderr.await(t, `job server started address=(\S+)`)
		p.signals <- syscall.SIGHUP
		if got := run(t, "x", "job", "-h", addr, "-b", "f"); got.code != 0 {
			t.Errorf("job: %+v", got)
		}
		p.signals <- signal
		if code := p.wait(t); code != 0 {
			t.Errorf("%v: code %d", signal, code)
		}
		for _, want := range []string{"connection opened", "connection closed", "job server stopped"} {
			if !strings.Contains(p.stderr.String(), want) {
				t.Errorf("the log lacks %q: %s", want, p.stderr.String())
			}
		}
	}
}

func TestServerPortIsTaken(t *testing.T) {
	t.Parallel()
	addr := startServer(t)
	got := run(t, "", "server", "--listen", addr)
	if got.code != 1 || !strings.Contains(got.stderr, "address already in use (is another job server running?") {
		t.Errorf("%+v", got)
	}
}
