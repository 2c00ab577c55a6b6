package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/jobserver"
	"github.com/gearman-manager/gearman-manager/internal/logging"
)

// serverStopTime bounds the end of the embedded job server.
const serverStopTime = 5 * time.Second

// serve runs the embedded job server.
type serve struct {
	listen    string
	port      uint16
	conf      jobserver.Config
	verbosity int
	logs      *logFlags
}

func serverCommand() command {
	return command{
		name: "server", short: "run the embedded job server",
		long: `
A Gearman job server for one machine, for development and tests. It speaks what
gearmand 1.1.20 speaks. Jobs are kept in memory: they are gone when it ends.
SIGTERM and SIGINT end it.
` + exitHelp,
		define: func(fs *pflag.FlagSet) action {
			s := &serve{logs: addLogFlags(fs)}
			fs.StringVarP(&s.listen, "listen", "L", "127.0.0.1", "Listen on `HOST[:PORT]`; 0.0.0.0 is every address of this machine.")
			fs.Uint16VarP(&s.port, "port", "p", 0, "Listen on this `PORT`; 4730 if neither flag says one.")
			fs.IntVarP(&s.conf.JobRetries, "job-retries", "j", 0, "Fail a job whose workers were lost `N` times; 0 is never.")
			fs.IntVarP(&s.conf.WorkerWakeup, "worker-wakeup", "w", 0, "Wake `N` sleeping workers for each job; 0 is all of them.")
			fs.BoolVarP(&s.conf.RoundRobin, "round-robin", "R", false, "Let the functions of a worker take turns.")
			fs.BoolVar(&s.conf.Exceptions, "exceptions", false, "Send exceptions to all clients, not only to those that asked for them.")
			fs.StringVar(&s.conf.HandlePrefix, "job-handle-prefix", "", "Begin job handles with `PREFIX` instead of H: and the name of this machine.")
			fs.Int64Var(&s.conf.MaxData, "max-data", 0, "The largest workload and result in `BYTES`; 64 MiB if 0.")
			fs.CountVarP(&s.verbosity, "verbose", "v", "Log more: -v for jobs that are queued again, -vv for every connection.")
			return s.run
		},
	}
}

func (s *serve) run(ctx context.Context, std *streams, args []string) error {
	if err := noArguments(args); err != nil {
		return err
	}
	var err error
	if s.conf.Addr, err = s.address(); err != nil {
		return err
	}
	log, err := s.logs.logger(std, min(s.verbosity, logging.MaxVerbosity))
	if err != nil {
		return err
	}
	s.conf.Events = logServer(log)
	server, err := jobserver.New(s.conf)
	if bad, ok := errors.AsType[*jobserver.ConfigError](err); ok {
		return &usageError{problem: bad.Error()}
	}
	if err != nil {
		return err
	}
	ctx, stop := untilSignal(ctx, std.signals, false)
	defer stop()
	return s.serve(ctx, server, log.Level(min(zerolog.InfoLevel, log.GetLevel())))
}

// serve runs the server until ctx ends. Its log shows start and stop at any
// verbosity.
func (s *serve) serve(ctx context.Context, server *jobserver.Server, log zerolog.Logger) error {
	life := context.WithoutCancel(ctx) // it is stopped by us
	if err := server.Start(life); err != nil {
		return fmt.Errorf("%w%s", err, s.listenHint(err))
	}
	log.Info().Str(logging.FieldAddress, server.Addr()).Str(logging.FieldVersion, jobserver.Version).Msg("job server started")
	<-ctx.Done()
	life, cancel := context.WithTimeout(life, serverStopTime)
	defer cancel()
	if err := server.Stop(life); err != nil {
		return err
	}
	log.Info().Str(logging.FieldDetail, context.Cause(ctx).Error()).Msg("job server stopped")
	return nil
}

// address puts --listen and --port together. Port 0 of --listen is a free one.
func (s *serve) address() (string, error) {
	port := strconv.Itoa(gearclient.DefaultPort)
	if s.port != 0 {
		port = strconv.Itoa(int(s.port))
	}
	host, own, err := net.SplitHostPort(s.listen)
	if err != nil { // no port
		host, own = s.listen, port
	}
	if own != port && s.port != 0 {
		return "", &usageError{problem: fmt.Sprintf("--listen %s and --port %d name two ports", s.listen, s.port)}
	}
	if own == "0" {
		return net.JoinHostPort(host, own), nil
	}
	addr, err := gearclient.NormalizeAddr(net.JoinHostPort(host, own))
	if err != nil {
		return "", &usageError{problem: fmt.Sprintf("--listen: %v", err)}
	}
	return addr, nil
}

// listenHint says what to do about an address that cannot be listened on.
func (s *serve) listenHint(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return " (is another job server running? --port takes another port)"
	case errors.Is(err, syscall.EACCES):
		return " (ports below 1024 are root's; --port takes another port)"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return " (--listen wants an address of this machine)"
	default:
		return ""
	}
}

// logServer logs what happens in the job server.
func logServer(log zerolog.Logger) func(jobserver.Event) {
	return func(e jobserver.Event) {
		switch e := e.(type) {
		case jobserver.AcceptFailed:
			log.Error().Err(e.Err).Msg("connection not accepted")
		case jobserver.ConnOpened:
			log.Debug().Stringer(logging.FieldRemote, e.Remote).Msg("connection opened")
		case jobserver.ConnClosed:
			log.Debug().Stringer(logging.FieldRemote, e.Remote).AnErr(logging.FieldDetail, e.Err).Msg("connection closed")
		case jobserver.JobRequeued:
			log.Info().Str(logging.FieldHandle, e.Handle).Str(logging.FieldFunction, e.Function).Int(logging.FieldAttempts, e.Attempts).
				Msg("job queued again")
		case jobserver.JobDropped:
			log.Warn().Str(logging.FieldHandle, e.Handle).Str(logging.FieldFunction, e.Function).Int(logging.FieldAttempts, e.Attempts).
				Msg("job given up")
		}
	}
}
