package manager

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/internal/logging"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// QuarantinedJob is a job that was in hand when its worker died, or that ran over
// its timeout.
//
// It is suspect at first: it then runs alone in its process. Once it has used up its
// attempts it is in quarantine: whoever is given it by a job server answers it with
// an exception and does not run it. Nothing tells the manager when a job is done or
// answered, so that jobs stay in the list for a while: a suspect for 24 hours after
// it was charged last, one in quarantine for 7 days, and 1,000 jobs in all.
type QuarantinedJob struct {
	Server   string // host:port of the job server that has it
	Function string
	Handle   string
	Unique   string // the client's name for it; empty if that is not known
	Attempts int    // deaths and timeouts that count as its own
	// Quarantined tells the two apart: it is not run again.
	Quarantined bool
	Cause       string    // what happened last, with worker and exit
	Worker      string    // that had it then; empty if that is not known
	First       time.Time // when it was charged for the first time
	Last        time.Time
}

// JobReleased says that a job is suspect no more, because somebody said so.
type JobReleased struct {
	Function    string
	Server      string
	Handle      string
	Unique      string
	Quarantined bool // it would not have been run again
}

// Name is "job_released".
func (JobReleased) Name() string { return "job_released" }

// About says what it is about.
func (e JobReleased) About() About { return About{}.at(e.Function, e.Server, e.Handle) }

func (e JobReleased) log(log zerolog.Logger) {
	log = always(log)
	log.Info().Str(logging.FieldFunction, e.Function).Str(logging.FieldServer, e.Server).Str(logging.FieldHandle, e.Handle).
		Func(func(line *zerolog.Event) { text(line, logging.FieldUnique, e.Unique) }).
		Bool(logging.FieldQuarantined, e.Quarantined).Msg("job released")
}

// NotSuspectError says that there is nothing to release.
type NotSuspectError struct {
	Server string // empty: any
	Handle string
}

// Error names the job.
func (e *NotSuspectError) Error() string {
	if e.Server == "" {
		return fmt.Sprintf("no job %q is suspect or in quarantine", e.Handle)
	}
	return fmt.Sprintf("no job %q of %s is suspect or in quarantine", e.Handle, e.Server)
}

// Quarantine returns the jobs that are suspect or in quarantine, the one charged
// longest ago first. It does not block.
func (m *Manager) Quarantine() []QuarantinedJob {
	var out []QuarantinedJob
	for _, s := range m.ledger.all() {
		out = append(out, QuarantinedJob{
			Server: s.key.server, Function: s.function, Handle: validHandle(s.key), Unique: s.unique,
			Attempts: int(s.attempts), Quarantined: s.fail, Cause: s.cause, Worker: s.worker, First: s.first, Last: s.last,
		})
	}
	return out
}

func validHandle(k jobKey) string { return strings.ToValidUTF8(k.handle, "\uFFFD") }

// ReleaseJob makes the jobs of that handle like any others, as if they had never been
// charged; an empty server means any. There are several if a job server that was
// restarted gave the same handle again. It blocks until all workers know, which is as
// long as the slowest one takes to answer, and returns how many jobs there were. The
// error is a *NotSuspectError.
//
// A job that was answered while it was in quarantine is gone: to run it again is
// its client's business.
func (m *Manager) ReleaseJob(ctx context.Context, server, handle string) (int, error) {
	n := m.release(ctx, func(s *suspect) bool {
		return validHandle(s.key) == handle && (server == "" || server == s.key.server)
	})
	if n == 0 {
		return 0, &NotSuspectError{Server: server, Handle: handle}
	}
	return n, nil
}

// ReleaseAllJobs does what ReleaseJob does with every job in the list. There may be
// none.
func (m *Manager) ReleaseAllJobs(ctx context.Context) int {
	return m.release(ctx, func(*suspect) bool { return true })
}

func (m *Manager) release(ctx context.Context, which func(*suspect) bool) int {
	gone := m.ledger.release(which)
	byFunction := news{}
	for _, s := range gone {
		of := byFunction.of(s.function)
		of.Remove = append(of.Remove, s.key.id())
		m.emit(JobReleased{
			Function: s.function, Server: s.key.server, Handle: validHandle(s.key), Unique: s.unique, Quarantined: s.fail,
		})
	}
	// Whoever asked may lose patience; a worker that has not heard of it by then is
	// still to be told, and not to be taken for one that does not answer.
	byFunction.tell(context.WithoutCancel(ctx), m.tell)
	return len(gone)
}

// tell tells the workers and returns when all know.
func (n news) tell(ctx context.Context, tell func(context.Context, string, *workerpb.Suspects, process)) {
	var calls sync.WaitGroup
	for function, s := range n {
		calls.Go(func() { tell(ctx, function, s, nil) })
	}
	calls.Wait()
}
