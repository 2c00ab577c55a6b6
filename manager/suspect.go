package manager

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// maxSuspects is how many suspect jobs are remembered; the one that was charged
// longest ago is forgotten first. A job that is done is not told to the manager,
// so that something else has to end the list.
const maxSuspects = 1000

// maxCause is how many bytes of what a job has caused are kept. All suspects of a
// function go to a new worker in one message, of which gRPC takes 4 MiB.
const maxCause = 2000

// jobKey knows a job again: a job server that was restarted hands out the same
// handles for other jobs.
type jobKey struct {
	server string // host:port
	handle string
	hash   uint64 // see jobrecord.Hash
}

func keyOf(id *workerpb.JobID) jobKey { return jobKey{id.GetServer(), id.GetHandle(), id.GetHash()} }

func (k jobKey) id() *workerpb.JobID {
	return &workerpb.JobID{Server: k.server, Handle: strings.ToValidUTF8(k.handle, "\uFFFD"), Hash: k.hash}
}

// charge is what a job is held responsible for.
type charge struct {
	job      jobKey
	function FunctionPlan
	// attempt is true if it counts as one. Otherwise the job is only suspect: it
	// then runs alone in its process.
	attempt bool
	// fail is true if the job is not to run again, whatever its attempts.
	fail  bool
	cause string // what happened, "worker resize/3 was killed by SIGSEGV"
}

// handJob is a job that was in hand when a worker died.
type handJob struct {
	job      jobKey
	function FunctionPlan
	overdue  bool // it was over its timeout
	charged  bool // it was charged before the death
}

// charges decides which of the jobs that were in hand are charged with a death;
// cause says what happened.
func charges(jobs []handJob, killed killReason, retired, cause string) []charge {
	switch {
	case killed == killGrace || killed == killStop:
		return nil // it was us, and in time the job would have been done
	case killed == killTimeout || retired == retireTimeout:
		return overdueCharges(jobs)
	}
	var out []charge
	for _, j := range jobs {
		if !j.charged {
			out = append(out, charge{
				job: j.job, function: j.function, cause: cause, attempt: len(jobs) == 1,
				fail: len(jobs) == 1 && j.function.OnCrash == config.Fail,
			})
		}
	}
	return out
}

// retireTimeout is the reason of a worker that retires because a job was over its
// timeout.
const retireTimeout = "timeout"

// overdueCharges charges the jobs that were over their timeouts and go back to
// the queue. Those beside them are innocent.
func overdueCharges(jobs []handJob) []charge {
	var out []charge
	for _, j := range jobs {
		if j.overdue && !j.charged {
			out = append(out, overdueCharge(j))
		}
	}
	return out
}

func overdueCharge(j handJob) charge {
	fail := j.function.OnTimeout != config.Reissue
	return charge{
		job: j.job, function: j.function, attempt: !fail, fail: fail,
		cause: fmt.Sprintf("it ran longer than its timeout of %v", j.function.Timeout),
	}
}

// ledger remembers suspect jobs over all pools. Its methods may be called from
// any goroutine.
type ledger struct {
	mu      sync.Mutex
	list    []*suspect // the one charged longest ago first
	version uint64     // counts changes
	most    int
}

type suspect struct {
	key      jobKey
	function string
	attempts uint32
	fail     bool
	cause    string
}

func newLedger(most int) *ledger { return &ledger{most: most} }

// charge notes a charge and returns what the workers have to know of the job, and
// the suspect that was forgotten for it, or nil.
func (l *ledger) charge(c charge) (told *workerpb.SuspectJob, forgotten *suspect) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, forgotten := l.entry(c)
	if c.attempt {
		s.attempts++
	}
	if !s.fail {
		s.judge(c)
	}
	l.version++
	return s.message(), forgotten
}

// judge decides whether the job is to fail.
func (s *suspect) judge(c charge) {
	limit := c.function.JobAttempts
	c.cause = cutCause(c.cause)
	switch {
	case c.fail:
		s.fail, s.cause = true, c.cause
	case limit > 0 && int(s.attempts) >= limit:
		s.fail = true
		s.cause = fmt.Sprintf("given up after %d of %d attempts: %s", s.attempts, limit, c.cause)
	default:
		s.cause = c.cause
	}
}

// cutCause makes a text short and valid enough to be told to workers.
func cutCause(text string) string {
	if len(text) > maxCause {
		text = text[:maxCause] + " […]"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// entry returns what is known of the job and makes it the one charged last.
func (l *ledger) entry(c charge) (s, forgotten *suspect) {
	s = &suspect{key: c.job, function: c.function.Name}
	i := slices.IndexFunc(l.list, func(s *suspect) bool { return s.key == c.job })
	switch {
	case i >= 0:
		s = l.list[i]
		l.list = slices.Delete(l.list, i, i+1)
	case len(l.list) >= l.most:
		forgotten = l.list[0]
		l.list = slices.Delete(l.list, 0, 1)
	}
	l.list = append(l.list, s)
	return s, forgotten
}

func (s *suspect) message() *workerpb.SuspectJob {
	return &workerpb.SuspectJob{Job: s.key.id(), Attempts: s.attempts, Fail: s.fail, Cause: s.cause}
}

// of returns the suspects among the jobs of those functions, and the version of
// the list.
func (l *ledger) of(functions []FunctionPlan) ([]*workerpb.SuspectJob, uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []*workerpb.SuspectJob
	for _, s := range l.list {
		if slices.ContainsFunc(functions, func(f FunctionPlan) bool { return f.Name == s.function }) {
			out = append(out, s.message())
		}
	}
	return out, l.version
}
