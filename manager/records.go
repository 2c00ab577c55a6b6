package manager

import (
	"fmt"
	"os"
	"slices"

	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
)

// recordTable hands out the records of a pool's file. It belongs to the pool's
// loop.
type recordTable struct {
	file *jobrecord.File
	free []int
}

func newRecordTable(path string, n int) (*recordTable, error) {
	file, err := jobrecord.Create(path, n)
	if err != nil {
		return nil, err
	}
	t := &recordTable{file: file}
	for i := range n {
		t.free = append(t.free, i)
	}
	return t, nil
}

// take reserves n records, the lowest that are free, or none if there are not so
// many.
func (t *recordTable) take(n int) ([]int, bool) {
	if len(t.free) < n {
		return nil, false
	}
	taken := slices.Clone(t.free[:n])
	t.free = slices.Delete(t.free, 0, n)
	return taken, true
}

// give makes records idle and free again.
func (t *recordTable) give(records []int) {
	for _, i := range records {
		if r, err := t.file.Record(i); err == nil {
			r.Clear()
		}
	}
	t.free = append(t.free, records...)
	slices.Sort(t.free)
}

// read takes a snapshot of a record.
func (t *recordTable) read(i int) jobrecord.Snapshot {
	r, err := t.file.Record(i)
	if err != nil {
		return jobrecord.Snapshot{} // cannot be: the table gave the number
	}
	return r.Snapshot()
}

// count adds up what records have counted since their beginning, over all the
// workers that had them.
func (t *recordTable) count(records []int) (c counters) {
	for _, i := range records {
		s := t.read(i)
		c.done += s.Done
		c.failed += uint64(s.Failed)
		c.begun += s.Begun
	}
	return c
}

func (t *recordTable) all() []int {
	all := make([]int, t.file.Len())
	for i := range all {
		all[i] = i
	}
	return all
}

// remove closes the table and removes its file, which no worker may have any more.
func (t *recordTable) remove() {
	_ = t.close()                // shared memory: nothing is lost
	_ = os.Remove(t.file.Path()) // or it goes with the runtime directory
}

func (t *recordTable) close() error {
	if err := t.file.Close(); err != nil {
		return fmt.Errorf("close job records: %w", err)
	}
	return nil
}

// counters are jobs that slots have performed.
type counters struct {
	begun, done, failed uint64
}

func (c counters) plus(d counters) counters {
	return counters{c.begun + d.begun, c.done + d.done, c.failed + d.failed}
}

func (c counters) minus(d counters) counters {
	return counters{c.begun - d.begun, c.done - d.done, c.failed - d.failed}
}
