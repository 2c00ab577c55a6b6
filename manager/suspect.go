package manager

import (
	"fmt"
	"strings"
	"time"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// maxSuspects is how many suspect jobs are remembered; the one that was charged
// longest ago is forgotten first. A job that is done is not told to the manager,
// so that something else has to end the list.
const maxSuspects = 1000

// How long a job stays in the list after it was charged last. gearmand has no end of
// its own for a job that waits: these are how long one may plausibly be on its way
// back to a worker, and how long an operator may take to look.
const (
	suspectFor    = 24 * time.Hour
	quarantineFor = 7 * 24 * time.Hour
)

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
	unique   string // the client's name for it, as far as is known
	worker   string // that had it
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
	unique   string // the client's name for it, as far as is known
	worker   string // that has or had it
	overdue  bool   // it was over its timeout
	charged  bool   // it was charged before the death
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
				job: j.job, function: j.function, unique: j.unique, worker: j.worker,
				cause: cause, attempt: len(jobs) == 1,
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
		job: j.job, function: j.function, unique: j.unique, worker: j.worker, attempt: !fail, fail: fail,
		cause: fmt.Sprintf("it ran longer than its timeout of %v", j.function.Timeout),
	}
}

// suspect is a job that was charged. Its fields are the ledger's.
type suspect struct {
	key      jobKey
	function string
	unique   string
	attempts uint32
	fail     bool // it is in quarantine: whoever is given it answers it unrun
	cause    string
	worker   string    // that had it when it was charged last
	first    time.Time // when it was charged
	last     time.Time
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

// expired tells whether nothing was heard of the job for so long that it is none
// any more, as far as can be known.
func (s *suspect) expired(now time.Time) bool {
	keep := suspectFor
	if s.fail {
		keep = quarantineFor
	}
	return now.Sub(s.last) >= keep
}

func (s *suspect) message() *workerpb.SuspectJob {
	return &workerpb.SuspectJob{Job: s.key.id(), Attempts: s.attempts, Fail: s.fail, Cause: s.cause}
}
