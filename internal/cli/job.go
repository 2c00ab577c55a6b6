package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/gearclient/wire"
	"github.com/gearman-manager/gearman-manager/internal/logging"
)

// submit is the command that submits one job.
type submit struct {
	file       string
	hosts      []string
	data       string
	hasData    func() bool // whether data is the workload, even if empty
	background bool
	high, low  bool
	unique     string
	at         string
	epoch      int64
	patience   time.Duration
	maxData    int64
}

func jobCommand() command {
	return command{
		name: "job", args: "FUNCTION [TEXT]", complete: completeFunction, short: "submit one job and show its result",
		long: `
The workload is TEXT as it is, without a line end; or else standard input. The
result goes to standard output as it is, and so does data that the worker sends
before it; on a terminal a line end follows where it has none. Warnings and, on
a terminal, progress go to standard error. A background job is answered with its
handle.

Exit codes:
  0    the job is done, or the server has taken a background job
  1    the job failed, or the server refused it; an exception's text is on
       standard error
  2    the command line makes no sense
  3    no job server could be reached, or the connection broke before the end
  130  ended by SIGINT; the job may still be run

Examples:
  gearman-manager job wc < /etc/passwd
  gearman-manager job reverse "Hello World!"
  gearman-manager job -h queue1,queue2 -b --low resize < photo.jpg
`,
		define: func(fs *pflag.FlagSet) action {
			s := &submit{}
			fs.StringSliceVarP(&s.hosts, "host", "h", nil, "Job servers, `HOST[:PORT],…`; those of the config file, else 127.0.0.1.")
			fs.StringVarP(&s.file, "config", "c", "", "A config `FILE` whose job servers are used where -h names none.")
			fs.StringVar(&s.data, "data", "", "The workload, as `TEXT` behind the function; also where it begins with a dash.")
			fs.BoolVarP(&s.background, "background", "b", false, "Do not wait for the job; print its handle.")
			fs.BoolVar(&s.high, "high", false, "High priority.")
			fs.BoolVar(&s.low, "low", false, "Low priority.")
			fs.StringVar(&s.unique, "unique", "", "Join a job of this function with the same `KEY` if there is one; - makes the workload the key.")
			fs.StringVar(&s.at, "at", "", "Run in the background at a `TIME` at the earliest: 2026-01-31 18:30[:00] (local), 2026-01-31T18:30:00Z, or +90m.")
			fs.Int64Var(&s.epoch, "epoch", 0, "The same, with the time in `SECONDS` since 1970.")
			fs.DurationVar(&s.patience, "wait", 0, "Give up after this `TIME`, such as 30s or 5m.")
			fs.Int64Var(&s.maxData, "max-data", 0, "The largest workload and result in `BYTES`; 64 MiB if 0.")
			s.hasData = func() bool { return fs.Changed("data") }
			return s.run
		},
	}
}

func (s *submit) run(ctx context.Context, std *streams, args []string) error {
	if err := s.arguments(args); err != nil {
		return err
	}
	req, err := s.request(args[0], time.Now())
	if err != nil {
		return err
	}
	hosts, err := s.servers(ctx, std)
	if err != nil {
		return err
	}
	client, err := gearclient.NewClient(gearclient.ClientConfig{Servers: hosts, MaxData: s.maxData})
	if err != nil {
		return &usageError{problem: err.Error()}
	}
	defer func() { _ = client.Close() }()
	if req.Workload, err = s.workload(std); err != nil {
		return err
	}
	ctx, stop := untilSignal(ctx, std.signals, false)
	defer stop()
	if s.patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.patience, &exitError{code: exitFailed, err: fmt.Errorf("no result after %v (--wait)", s.patience)})
		defer cancel()
	}
	return jobError(std, s.perform(ctx, std, client, req))
}

// arguments checks the function, and takes the workload that may follow it.
func (s *submit) arguments(args []string) error {
	if len(args) != 1 && len(args) != 2 {
		return &usageError{problem: fmt.Sprintf("want the name of one function and at most one text, got %d arguments", len(args))}
	}
	if len(args) == 1 {
		return nil
	}
	if s.hasData() {
		return &usageError{problem: "--data and a text behind the function exclude each other"}
	}
	s.data, s.hasData = args[1], func() bool { return true }
	return nil
}

// request is the job without its workload.
func (s *submit) request(function string, now time.Time) (gearclient.Request, error) {
	req := gearclient.Request{Function: function, Unique: s.unique}
	switch {
	case s.high && s.low:
		return req, &usageError{problem: "--high and --low exclude each other"}
	case s.high:
		req.Priority = gearclient.PriorityHigh
	case s.low:
		req.Priority = gearclient.PriorityLow
	}
	at, err := s.runAt(now)
	if err != nil {
		return req, err
	}
	if at.IsZero() {
		return req, nil
	}
	if s.high || s.low {
		return req, &usageError{problem: "a job that runs at a set time has no priority: leave out --high and --low"}
	}
	req.RunAt, s.background = at, true
	return req, nil
}

// runAt is the time of --at or --epoch, or zero.
func (s *submit) runAt(now time.Time) (time.Time, error) {
	switch {
	case s.at != "" && s.epoch != 0:
		return time.Time{}, &usageError{problem: "--at and --epoch exclude each other"}
	case s.epoch < 0:
		return time.Time{}, &usageError{problem: "--epoch is before 1970"}
	case s.epoch > 0:
		return time.Unix(s.epoch, 0), nil
	case s.at == "":
		return time.Time{}, nil
	default:
		return parseTime(s.at, now)
	}
}

// parseTime reads a time as people write it.
func parseTime(text string, now time.Time) (time.Time, error) {
	if text[0] == '+' {
		if d, err := time.ParseDuration(text[1:]); err == nil {
			return now.Add(d), nil
		}
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, &usageError{problem: fmt.Sprintf("--at %q is no time: want 2026-01-31 18:30[:00], 2026-01-31T18:30:00Z or +90m", text)}
}

// servers are the job servers of the flag, the config file or the default.
func (s *submit) servers(ctx context.Context, std *streams) ([]string, error) {
	if len(s.hosts) > 0 || s.file == "" {
		if len(s.hosts) == 0 {
			s.hosts = []string{"127.0.0.1"}
		}
		return s.hosts, nil
	}
	cfg, problems, err := loadConfig(ctx, std, s.file, nil)
	if err != nil {
		return nil, err
	}
	if config.HasErrors(problems) {
		writeProblems(std, problems)
		return nil, &exitError{code: exitFailed, err: fmt.Errorf("the config has %s; -h names job servers without it", countErrors(problems))}
	}
	return cfg.Hosts(), nil
}

// workload is the text of the command line, or standard input.
func (s *submit) workload(std *streams) ([]byte, error) {
	if s.hasData() {
		return []byte(s.data), nil
	}
	in := std.terminalNotice()
	limit := s.maxData
	if limit <= 0 {
		limit = wire.DefaultMaxData
	}
	data, err := io.ReadAll(io.LimitReader(in, min(limit, math.MaxInt64-1)+1))
	if err != nil {
		return nil, fmt.Errorf("read the workload from standard input: %w", err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("the workload on standard input has more than %d bytes; --max-data sets another limit", limit)
	}
	return data, nil
}

// perform submits the job and shows what becomes of it.
func (s *submit) perform(ctx context.Context, std *streams, client *gearclient.Client, req gearclient.Request) error {
	if s.background {
		handle, err := client.Background(ctx, req)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(std.out, handle.Name)
		return err
	}
	show := &progress{out: std.err, terminal: logging.IsTerminal(std.err)}
	var broken error // of standard output
	req.OnUpdate = func(u gearclient.Update) {
		switch u.Kind {
		case gearclient.UpdateData:
			show.clear()
			if _, err := std.out.Write(u.Data); err != nil {
				broken = err
			}
		case gearclient.UpdateWarning:
			show.clear()
			_, _ = fmt.Fprintf(std.err, "warning: %s\n", u.Data)
		case gearclient.UpdateStatus:
			show.status(u.Numerator, u.Denominator)
		}
	}
	result, err := client.Do(ctx, req)
	show.clear()
	if err != nil {
		return err
	}
	if _, err := std.out.Write(closed(result, logging.IsTerminal(std.out))); err != nil {
		broken = err
	}
	if broken != nil {
		return fmt.Errorf("write the result: %w", broken)
	}
	return nil
}

// closed is a result as it is; on a terminal with a line end, so that the prompt is not
// taken for a part of it.
func closed(result []byte, terminal bool) []byte {
	if terminal && len(result) > 0 && result[len(result)-1] != '\n' {
		return append(slices.Clone(result), '\n')
	}
	return result
}

// jobError gives the error of a job its exit code. The text of an exception is
// written as it is.
func jobError(std *streams, err error) error {
	if exception, ok := errors.AsType[*gearclient.ExceptionError](err); ok {
		_, _ = fmt.Fprintf(std.err, "%s\n", exception.Data)
		return &exitError{code: exitFailed}
	}
	if invalid, ok := errors.AsType[*gearclient.RequestError](err); ok {
		return &usageError{problem: invalid.Error()}
	}
	if _, ok := errors.AsType[*signalError](err); ok {
		return err
	}
	if _, lost := errors.AsType[*gearclient.LostError](err); lost {
		return &exitError{code: exitUnreachable, err: err}
	}
	if unreachable(err) {
		return &exitError{code: exitUnreachable, err: fmt.Errorf("%w (is it running? -h names others)", err)}
	}
	return err
}

// unreachable tells whether no server took the job because none was there.
func unreachable(err error) bool {
	_, all := errors.AsType[*gearclient.UnreachableError](err)
	_, one := errors.AsType[*gearclient.ConnectError](err)
	return all || one
}
