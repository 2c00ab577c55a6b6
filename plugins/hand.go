package plugins

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/gearman-manager/gearman-manager/gearclient"
)

// byHand is a worker that its author started from a shell.
type byHand struct {
	def    *definition
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
}

// main follows the arguments and returns the exit code: 0, 1 if the job or the
// work failed, 2 for arguments that make no sense.
func (b byHand) main(ctx context.Context, args []string) int {
	name := filepath.Base(args[0])
	if len(args) < 2 {
		b.explain(b.stdout, name)
		return 0
	}
	var err error
	switch args[1] {
	case "run":
		err = b.run(ctx, args[2:])
	case "work":
		err = b.work(ctx, args[2:])
	case "version", "--version":
		_, err = fmt.Fprintln(b.stdout, name, b.def.version)
	case "help", "--help", "-help", "-H":
		b.explain(b.stdout, name)
	default:
		err = usageError("unknown command " + args[1])
	}
	return b.report(name, err)
}

// usageError is about the arguments.
type usageError string

func (e usageError) Error() string { return string(e) }

// report prints an error and returns the exit code.
func (b byHand) report(name string, err error) int {
	if err == nil || errors.Is(err, context.Canceled) {
		return 0
	}
	b.say(b.stderr, "%s: %v\n", name, err)
	if e, ok := errors.AsType[*panicError](err); ok {
		_, _ = b.stderr.Write(e.stack)
	}
	if _, ok := errors.AsType[usageError](err); ok {
		b.explain(b.stderr, name)
		return 2
	}
	return 1
}

// explain says what the program is and what it can do.
func (b byHand) explain(w io.Writer, name string) {
	b.say(w, `%[1]s is a Gearman worker. It performs: %[2]s

gearman-manager runs it: put it into a directory of workers.
To try it by hand:

  echo hello | %[1]s run %[3]s     perform one job from standard input
  %[1]s work -h 127.0.0.1:4730     perform jobs of a job server until ctrl-C
  %[1]s version
`, name, strings.Join(b.names(), ", "), b.names()[0])
}

// names are the functions, for people.
func (b byHand) names() []string {
	if b.def.any != nil {
		return []string{"FUNCTION"}
	}
	return b.def.names
}

// run performs one job from standard input: the result goes to standard
// output, everything else to standard error.
func (b byHand) run(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return usageError("run: want the name of one function")
	}
	handler := b.def.handler(args[0])
	if handler == nil {
		return usageError(fmt.Sprintf("run: no function %q here", args[0]))
	}
	if err := b.def.runInit(ctx); err != nil {
		return err
	}
	defer b.close()
	workload, err := io.ReadAll(b.stdin)
	if err != nil {
		return fmt.Errorf("read the workload from standard input: %w", err)
	}
	result, err := safely(ctx, handler, b.job(args[0], workload))
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	_, err = b.stdout.Write(result)
	return err
}

// job is a job that no server knows.
func (b byHand) job(function string, workload []byte) *Job {
	return &Job{
		function: function, handle: "H:by-hand:1", workload: workload, most: defaultMaxData,
		to:  terminal{b.stdout, b.stderr},
		log: handLogger{b.logger()},
	}
}

// handLogger shows what a job logs to the author.
type handLogger struct{ *slog.Logger }

func (l handLogger) forJob(function, handle string) *slog.Logger {
	return l.With("function", function, "job", handle)
}

func (b byHand) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b.stderr, nil)) }

func (b byHand) close() {
	b.def.runClose(func(err error) { b.say(b.stderr, "%v\n", err) })
}

// say prints what is for people; one who has closed the output wants none.
func (b byHand) say(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format, args...)
}

// terminal shows a job's news to the author.
type terminal struct {
	stdout, stderr io.Writer
}

func (t terminal) Status(numerator, denominator uint32) error {
	_, err := fmt.Fprintf(t.stderr, "status: %d/%d\n", numerator, denominator)
	return err
}

func (t terminal) Data(data []byte) error {
	_, err := t.stdout.Write(data)
	return err
}

func (t terminal) Warning(data []byte) error {
	_, err := fmt.Fprintf(t.stderr, "warning: %s\n", data)
	return err
}

// work performs jobs of a job server until ctx ends, without a manager.
func (b byHand) work(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("work", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	host := flags.String("h", "127.0.0.1:4730", "")
	slots := flags.Int("n", 1, "")
	if err := flags.Parse(args); err != nil {
		return usageError("work: " + err.Error())
	}
	if b.def.any != nil {
		return usageError("work: this worker needs gearman-manager to tell it its functions")
	}
	if err := b.def.runInit(ctx); err != nil {
		return err
	}
	defer b.close()
	w, err := gearclient.NewWorker(b.workerConfig(strings.Split(*host, ","), *slots))
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, w.Drain)
	defer stop()
	return w.Run(context.WithoutCancel(ctx)) // ctrl-C lets it finish the job in hand
}

// workerConfig is a plain worker that tells the author what happens.
func (b byHand) workerConfig(servers []string, slots int) gearclient.WorkerConfig {
	log := b.logger()
	return gearclient.WorkerConfig{
		Servers: servers, Functions: b.def.names, Slots: slots,
		ClientID: func(int) string { return fmt.Sprintf("by-hand/%d", os.Getpid()) },
		Handler: func(ctx context.Context, job *gearclient.Job) gearclient.Result {
			data, err := safely(ctx, b.def.handlers[job.Function()], &Job{
				function: job.Function(), handle: job.Handle(), unique: job.Unique(), workload: job.Workload(),
				most: defaultMaxData, to: job, log: handLogger{log},
			})
			if err != nil {
				log.Warn("job failed", "job", job.Handle(), "error", err)
				return raised(err.Error())
			}
			return gearclient.Result{Data: data}
		},
		Events: gearclient.WorkerEvents{
			Ready: func(_ int, server string, _ bool) { log.Info("ready", "server", server) },
			Lost:  func(_ int, server string, err error) { log.Warn("lost the job server", "server", server, "error", err) },
			Done: func(job *gearclient.Job, _ gearclient.Result, err error) {
				log.Info("job done", "function", job.Function(), "job", job.Handle(), "error", err)
			},
		},
	}
}
