// Package demo shows the whole product at work within a few seconds: it starts
// the embedded job server, a manager with the example workers, sends real jobs
// through them, checks every answer and shows the fleet.
package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/jobserver"
	"github.com/gearman-manager/gearman-manager/manager"
)

// Config says what to show.
type Config struct {
	// WorkerDirs hold the example workers.
	WorkerDirs []string
	// Keep leaves everything running until the context ends, and says how to
	// talk to it.
	Keep bool
	// Out gets what there is to see.
	Out io.Writer
	// Logger gets the manager's log.
	Logger zerolog.Logger
	// Self is the path of the program's own binary; that of the process if
	// empty.
	Self string
}

const (
	// readyTimeout bounds the wait for the workers, which takes a fraction of a
	// second; it is for machines that are busy otherwise.
	readyTimeout = 30 * time.Second
	// settleTimeout bounds the wait for the fleet to be idle again.
	settleTimeout = time.Second
	// jobTimeout bounds the wait for an answer.
	jobTimeout = 30 * time.Second
	// stopTimeout bounds the end.
	stopTimeout = 10 * time.Second
	// look is how often the fleet is looked at while waiting for it.
	look = 10 * time.Millisecond
)

// iniText is the config of the demo; worker directories and server are put in.
const iniText = `; Written by gearman-manager demo.

[GearmanManager]
worker_dir      = "%s"
host            = %s
dedicated_count = 2
exclude         = "%s"

[wc]
command = wc -l
`

// show is a demo that runs.
type show struct {
	Config
	server  *jobserver.Server
	manager *manager.Manager
	client  *gearclient.Client
	ini     string // path
}

// Run shows the demo. It blocks until everything it started has ended again;
// with Keep that is when ctx ends. An error says what did not go as it should.
func Run(ctx context.Context, cfg Config) (err error) {
	dir, err := os.MkdirTemp("", "gearman-manager-demo-")
	if err != nil {
		return fmt.Errorf("make a directory for the demo: %w", err)
	}
	s := &show{Config: cfg, ini: filepath.Join(dir, "config.ini")}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		err = errors.Join(err, s.stop(stop), os.RemoveAll(dir))
	}()
	if err := s.start(ctx); err != nil {
		return err
	}
	if err := s.jobs(ctx); err != nil {
		return err
	}
	s.say("\nThe fleet:\n\n")
	s.settle(ctx)
	if err := s.manager.Snapshot().Table(s.Out); err != nil {
		return fmt.Errorf("show the fleet: %w", err)
	}
	if !cfg.Keep {
		s.say("\nThat was real: a job server, a manager, %d worker processes and every answer checked.\n", s.processes())
		return nil
	}
	s.stay(ctx)
	return nil
}

// say prints for people.
func (s *show) say(format string, args ...any) {
	_, _ = fmt.Fprintf(s.Out, format, args...) // if nobody can read it, the answers are checked all the same
}

// start starts job server and manager and waits until the workers are there.
func (s *show) start(ctx context.Context) error {
	began := time.Now()
	var err error
	if s.server, err = jobserver.New(jobserver.Config{}); err != nil {
		return err
	}
	if err := s.server.Start(ctx); err != nil {
		return err
	}
	s.say("Job server   listening on %s\n", s.server.Addr())
	if err := s.writeConfig(); err != nil {
		return err
	}
	settings, problems := config.Load(s.ini, nil)
	for _, p := range problems {
		s.say("             %s\n", p)
	}
	if settings == nil {
		return fmt.Errorf("load %s: it has errors", s.ini)
	}
	if s.manager, err = manager.New(manager.Config{Settings: settings, Self: s.Self, Logger: s.Logger}); err != nil { //nolint:contextcheck // it waits for nothing
		return err
	}
	if err := s.manager.Start(ctx); err != nil {
		return err
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	s.say("Manager      %d slots in %d processes ready after %d ms\n", s.slots(), s.processes(), time.Since(began).Milliseconds())
	s.say("Workers      found in %s\n", strings.Join(s.WorkerDirs, ", "))
	s.client, err = gearclient.NewClient(gearclient.ClientConfig{Servers: []string{s.server.Addr()}})
	return err
}

// writeConfig writes the config file.
func (s *show) writeConfig() error {
	left := s.withoutPHP()
	if len(left) > 0 {
		s.say("PHP          none here, so %s are left out\n", strings.Join(left, " and "))
	}
	text := fmt.Sprintf(iniText, strings.Join(s.WorkerDirs, ","), s.server.Addr(), strings.Join(left, ","))
	if err := os.WriteFile(s.ini, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write the demo's config: %w", err)
	}
	return nil
}

// withoutPHP returns the functions of the PHP files if there is no php to run them.
func (s *show) withoutPHP() (functions []string) {
	if _, err := exec.LookPath("php"); err == nil {
		return nil
	}
	for _, dir := range s.WorkerDirs {
		files, _ := filepath.Glob(filepath.Join(dir, "*.php")) // the pattern is one, unless the directory's name spoils it
		for _, file := range files {
			functions = append(functions, strings.TrimSuffix(filepath.Base(file), ".php"))
		}
	}
	return functions
}

// ready waits until every slot is registered.
func (s *show) ready(ctx context.Context) error {
	if !s.wait(ctx, readyTimeout, func() bool { return s.slots() > 0 && s.slots() == s.registered() }) {
		return fmt.Errorf("%d of %d slots are ready after %v", s.registered(), s.slots(), readyTimeout)
	}
	return nil
}

// settle waits until the records of the last job are written, which is just
// after its answer.
func (s *show) settle(ctx context.Context) {
	s.wait(ctx, settleTimeout, func() bool {
		jobs := 0
		s.each(func(w manager.WorkerStatus) { jobs += len(w.Jobs) })
		return jobs == 0
	})
}

// wait looks at the fleet until cond holds, and reports whether it did in time.
func (s *show) wait(ctx context.Context, limit time.Duration, cond func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// performs tells whether the fleet performs a function.
func (s *show) performs(function string) bool {
	return slices.ContainsFunc(s.manager.Snapshot().Pools, func(p manager.PoolStatus) bool { return p.Name == function })
}

// slots is the number of slots planned.
func (s *show) slots() (n int) {
	for _, p := range s.manager.Snapshot().Pools {
		if p.Runs {
			n += p.Slots
		}
	}
	return n
}

// registered is the number of slots that the job server knows.
func (s *show) registered() (n int) {
	s.each(func(w manager.WorkerStatus) { n += w.Ready })
	return n
}

// processes is the number of worker processes.
func (s *show) processes() (n int) {
	s.each(func(w manager.WorkerStatus) {
		if w.PID != 0 {
			n++
		}
	})
	return n
}

// each visits every worker.
func (s *show) each(f func(manager.WorkerStatus)) {
	for _, p := range s.manager.Snapshot().Pools {
		for _, w := range p.Workers {
			f(w)
		}
	}
}

// jobs sends the demo's jobs and checks their answers.
func (s *show) jobs(ctx context.Context) error {
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return fmt.Errorf("read a file to count its lines: %w", err)
	}
	lines := fmt.Sprint(bytes.Count(passwd, []byte{'\n'}))
	s.say("\n")
	for _, j := range []job{
		{function: "reverse", shown: `"Hello World!"`, workload: []byte("Hello World!"), want: "!dlroW olleH"},
		{function: "wc", shown: "< /etc/passwd", workload: passwd, want: lines},
		{function: "wordcount", shown: `"one two three"`, workload: []byte("one two three"), want: "3"},
		{function: "slug", shown: `"PHP, as before!"`, workload: []byte("PHP, as before!"), want: "php-as-before"},
		{function: "countdown", shown: "10", workload: []byte("10"), want: "lift-off"},
	} {
		if !s.performs(j.function) {
			continue
		}
		if err := s.do(ctx, j); err != nil {
			return err
		}
	}
	return nil
}

// job is one job of the demo.
type job struct {
	function string
	shown    string // as on a command line
	workload []byte
	want     string
}

// do sends a job as "gearman-manager job" does, shows its progress, and checks
// the answer.
func (s *show) do(ctx context.Context, j job) error {
	ctx, cancel := context.WithTimeout(ctx, jobTimeout)
	defer cancel()
	s.say("$ gearman-manager job %s %s\n", j.function, j.shown)
	result, err := s.client.Do(ctx, gearclient.Request{
		Function: j.function, Workload: j.workload,
		OnUpdate: func(u gearclient.Update) {
			if u.Kind == gearclient.UpdateStatus {
				s.say("  %s %d/%d\n", strings.Repeat("#", int(min(u.Numerator, u.Denominator, 60))), u.Numerator, u.Denominator) //nolint:gosec // at most 60
			}
		},
	})
	if err != nil {
		return fmt.Errorf("job %s: %w", j.function, err)
	}
	answer := strings.TrimSpace(string(result))
	s.say("%s\n", answer)
	if answer != j.want {
		return fmt.Errorf("job %s: answered %q, want %q", j.function, answer, j.want)
	}
	return nil
}

// stay says how to talk to what runs, and waits.
func (s *show) stay(ctx context.Context) {
	host, port, _ := strings.Cut(s.server.Addr(), ":")
	self := "gearman-manager"
	if len(os.Args) > 0 {
		self = os.Args[0]
	}
	s.say(`
It stays up until ctrl-C. In another terminal:

  %[1]s job -h %[2]s:%[3]s reverse "Hello World!"
  %[1]s job -h %[2]s:%[3]s wc < /etc/passwd
  gearman -h %[2]s -p %[3]s -f wordcount < README.md      # Debian's gearman-tools
  gearadmin -h %[2]s -p %[3]s --status

Its config: %[4]s
`, self, host, port, s.ini)
	<-ctx.Done()
}

// stop ends what start began, in reverse.
func (s *show) stop(ctx context.Context) error {
	var errs []error
	if s.client != nil {
		errs = append(errs, s.client.Close())
	}
	if s.manager != nil {
		errs = append(errs, s.manager.Stop(ctx))
	}
	if s.server != nil {
		errs = append(errs, s.server.Stop(ctx))
	}
	return errors.Join(errs...)
}
