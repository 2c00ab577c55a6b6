package plugins

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// heir is a worker with the records 1 and 2 of a pool's four.
type heir struct {
	*performer

	tb   testing.TB
	a    *assignment
	gone chan struct{}
}

func newHeir(t *testing.T) heir {
	t.Helper()
	records, err := jobrecord.Create(filepath.Join(t.TempDir(), "records"), 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = records.Close() })
	gone := make(chan struct{})
	return heir{
		performer: &performer{records: records, gone: gone, hands: newHands()}, tb: t,
		a:    &assignment{slots: []*workerpb.Slot{{Record: 1}, {Record: 2}}, want: 2},
		gone: gone,
	}
}

func (h heir) record(i int) *jobrecord.Record {
	h.tb.Helper()
	r, err := h.records.Record(i)
	if err != nil {
		h.tb.Fatal(err)
	}
	return r
}

// waits is how long a job waits that those records show.
func (h heir) waits(ctx context.Context, records ...int) time.Duration {
	h.tb.Helper()
	job := jobrecord.Job{Server: 1, Handle: "H:a:1", Hash: 7}
	for _, i := range records {
		h.record(i).Begin(job, 1, 0)
	}
	began := time.Now()
	h.outlive(ctx, h.a, job)
	return time.Since(began)
}

// TestOutlive has jobs that wait for the records of others, on a clock of their own.
func TestOutlive(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		records []int // that show the job
		at      time.Duration
		then    func(heir)
		want    time.Duration
	}{
		{name: "nobody had it"},
		{name: "only the worker itself", records: []int{1, 2}},
		{name: "nothing happens", records: []int{3}, want: deathNews},
		{
			name: "cleared", records: []int{0}, at: 7500 * time.Microsecond, want: 8 * time.Millisecond,
			then: func(h heir) { h.record(0).Clear() },
		},
		{
			name: "cleared behind the worker's own", records: []int{1, 2, 3}, at: 7500 * time.Microsecond, want: 8 * time.Millisecond,
			then: func(h heir) { h.record(3).Clear() },
		},
		{
			name: "one of two is cleared", records: []int{0, 3}, at: time.Millisecond, want: deathNews,
			then: func(h heir) { h.record(0).Clear() },
		},
		{
			name: "another job", records: []int{3}, at: 500 * time.Microsecond, want: time.Millisecond,
			then: func(h heir) { h.record(3).Begin(jobrecord.Job{Handle: "H:a:2"}, 2, 0) },
		},
		{
			name: "the manager is gone", records: []int{3}, at: time.Second, want: time.Second,
			then: func(h heir) { close(h.gone) },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHeir(t)
				if c.then != nil {
					time.AfterFunc(c.at, func() { c.then(h) })
				}
				if got := h.waits(t.Context(), c.records...); got != c.want {
					t.Errorf("it waited %v, want %v", got, c.want)
				}
			})
		})
	}
}

func TestOutliveEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got := newHeir(t).waits(ctx, 3); got != time.Second {
			t.Errorf("it waited %v, want a second", got)
		}
	})
}

func TestOutliveWithoutRecords(t *testing.T) {
	t.Parallel()
	(&performer{}).outlive(t.Context(), &assignment{}, jobrecord.Job{})
}

// TestOutliveAllocatesNothing if the job is new, as nearly all are.
func TestOutliveAllocatesNothing(t *testing.T) {
	h, ctx := newHeir(t), t.Context()
	job := jobrecord.Job{Server: 1, Handle: "H:a:1", Hash: 7}
	h.record(1).Begin(job, 1, 0)
	if n := testing.AllocsPerRun(100, func() { h.outlive(ctx, h.a, job) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
