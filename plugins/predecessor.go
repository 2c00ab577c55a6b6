package plugins

import (
	"context"
	"slices"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

const (
	// deathNews is how long a job waits at most for the record of the worker that had
	// it before. It is as long as the manager itself waits while it tells all workers
	// of a job; one that does not listen then is not waited for.
	deathNews = 2 * time.Second
	// deathPoll is how often it looks. Reaping a process and telling 50 workers of its
	// job takes a few milliseconds.
	deathPoll = time.Millisecond
)

// outlive waits while another worker's record shows the job: that worker died of it,
// or with it, or has lost the connection on which it had it. The server gives the job
// to the next worker in the same millisecond, long before the manager has reaped the
// process, counted the attempt and told all workers; it clears the record only then.
// What is known of the job as a suspect is complete when outlive returns, unless that
// took the manager longer than deathNews, or the manager is gone.
func (p *performer) outlive(ctx context.Context, a *assignment, job jobrecord.Job) {
	if !p.heldElsewhere(a, job) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, deathNews)
	defer cancel()
	tick := time.NewTicker(deathPoll)
	defer tick.Stop()
	for p.heldElsewhere(a, job) {
		select {
		case <-tick.C:
		case <-p.gone:
			return
		case <-ctx.Done():
			return
		}
	}
}

// heldElsewhere reports whether a record shows the job that is none of this worker's.
func (p *performer) heldElsewhere(a *assignment, job jobrecord.Job) bool {
	if p.records == nil {
		return false
	}
	for i, ok := p.records.Find(job, 0); ok; i, ok = p.records.Find(job, i+1) {
		own := slices.ContainsFunc(a.slots[:a.want], func(s *workerpb.Slot) bool { return int(s.GetRecord()) == i })
		if !own && !p.hands.shows(i) {
			return true
		}
	}
	return false
}
