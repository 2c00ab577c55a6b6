package exec

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gearman-manager/gearman-manager/plugins"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// shared is the one supervisor of the test process.
var shared *supervisor.Supervisor

func TestMain(m *testing.M) {
	if os.Getenv(plugins.CookieKey) == plugins.CookieValue {
		serveWorker() // the host of a test has started this
	}
	os.Exit(runTests(m))
}

// serveWorker is the main function of an exec worker.
func serveWorker() {
	sup, err := supervisor.New(supervisor.Config{Starters: Starters})
	if err != nil {
		panic(err)
	}
	plugins.Serve(
		plugins.Any(New(sup, Config{})),
		plugins.Close(func() error { return sup.Stop(context.Background()) }),
	)
}

func runTests(m *testing.M) int {
	var err error
	if shared, err = supervisor.New(supervisor.Config{Subreaper: true}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := shared.Stop(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// feedback is what a job's executable caused.
type feedback struct {
	mu       sync.Mutex
	stderr   []string
	warnings []string
	reports  []report
	reported chan struct{} // 1 buffered: there is a new report
}

func (f *feedback) status(n, d uint32) error {
	f.mu.Lock()
	f.reports = append(f.reports, report{n, d})
	f.mu.Unlock()
	select {
	case f.reported <- struct{}{}:
	default:
	}
	return nil
}

func (f *feedback) line(s string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stderr = append(f.stderr, s)
}

func (f *feedback) warn(s string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.warnings = append(f.warnings, s)
}

// newTask is a job that command performs.
func newTask(workload string, command ...string) (*task, *feedback) {
	f := &feedback{reported: make(chan struct{}, 1)}
	return &task{
		command: command, function: "fn", handle: "H:host:1", unique: "u 1", workload: []byte(workload), most: 64 << 20,
		status: f.status, stderr: f.line, warn: f.warn,
	}, f
}

// shell is a job that a script performs.
func shell(workload, script string) (*task, *feedback) {
	return newTask(workload, "sh", "-c", script)
}

func newTestRunner() *runner { return newRunner(shared, Config{}) }
