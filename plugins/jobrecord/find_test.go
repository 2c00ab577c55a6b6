package jobrecord_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
)

// sought is the job that is looked for.
func sought() jobrecord.Job {
	return jobrecord.Job{Server: 1, Function: 3, Handle: "H:web1:42", Hash: 1<<40 + 7, Unique: "user 7"}
}

// TestFind looks for a job in a record among others that are busy and idle.
func TestFind(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		begun func(*jobrecord.Job)
		then  func(*jobrecord.Record)
		want  bool
	}{
		{name: "the same job", want: true},
		{name: "another number of its function", begun: func(j *jobrecord.Job) { j.Function = 9 }, want: true},
		{name: "another unique", begun: func(j *jobrecord.Job) { j.Unique = "" }, want: true},
		{name: "another hash", begun: func(j *jobrecord.Job) { j.Hash += 1 << 32 }},
		{name: "another server", begun: func(j *jobrecord.Job) { j.Server = 0x101 }},
		{name: "another handle", begun: func(j *jobrecord.Job) { j.Handle = "H:web1:43" }},
		{name: "a longer handle", begun: func(j *jobrecord.Job) { j.Handle += "1" }},
		{name: "a shorter handle", begun: func(j *jobrecord.Job) { j.Handle = "H:web1:4" }},
		{name: "answered", then: func(r *jobrecord.Record) { r.End(2, false, 1) }},
		{name: "given back", then: (*jobrecord.Record).Drop},
		{name: "cleared", then: (*jobrecord.Record).Clear},
		{name: "another job since", then: func(r *jobrecord.Record) { r.Begin(jobrecord.Job{Handle: "H:web1:44"}, 2, 0) }},
		{name: "begun again", then: func(r *jobrecord.Record) { r.Clear(); r.Begin(sought(), 2, 0) }, want: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := create(t, 5)
			record(t, f, 1).Begin(jobrecord.Job{Server: 1, Handle: "H:web1:41", Hash: sought().Hash}, 1, 0)
			j := sought()
			if c.begun != nil {
				c.begun(&j)
			}
			record(t, f, 3).Begin(j, 1, 10)
			if c.then != nil {
				c.then(record(t, f, 3))
			}
			if i, ok := f.Find(sought(), 0); ok != c.want || ok && i != 3 {
				t.Errorf("record %d, %t", i, ok)
			}
		})
	}
}

// TestFindEach goes from one record that has the job to the next.
func TestFindEach(t *testing.T) {
	t.Parallel()
	f := create(t, 4)
	job := jobrecord.Job{Handle: strings.Repeat("h", jobrecord.MaxHandle+1), Hash: 5} // recorded as far as it fits
	for _, i := range []int{0, 2, 3} {
		record(t, f, i).Begin(job, 1, 0)
	}
	var found []int
	for i, ok := f.Find(job, -1); ok; i, ok = f.Find(job, i+1) {
		found = append(found, i)
	}
	if got := fmt.Sprint(found); got != "[0 2 3]" {
		t.Errorf("found in %s", got)
	}
	if i, ok := f.Find(job, 4); ok {
		t.Errorf("found in %d, behind the last", i)
	}
	if i, ok := f.Find(jobrecord.Job{}, 0); ok {
		t.Errorf("nothing found in %d", i)
	}
}

// TestFindTorn has a writer that died in the middle of Begin: the job has not run.
func TestFindTorn(t *testing.T) {
	t.Parallel()
	f := create(t, 1)
	record(t, f, 0).Begin(sought(), 1, 0)
	file, err := os.OpenFile(f.Path(), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // nothing was buffered
	for version, want := range map[byte]bool{7: false, 8: true} {
		if _, err := file.WriteAt([]byte{version}, 0); err != nil {
			t.Fatal(err)
		}
		if _, ok := f.Find(sought(), 0); ok != want {
			t.Errorf("version %d: found %t", version, ok)
		}
	}
}

func TestFindAllocatesNothing(t *testing.T) {
	f := create(t, 10)
	record(t, f, 9).Begin(sought(), 1, 0)
	if n := testing.AllocsPerRun(100, func() { _, _ = f.Find(sought(), 0) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkFind looks for a job that no record has: the jobs that are in hand have
// other hashes or, the worst case, all the same one.
func BenchmarkFind(b *testing.B) {
	for _, n := range []int{10, 50, 500} {
		for _, alike := range []bool{false, true} {
			b.Run(fmt.Sprintf("records=%d/alike=%t", n, alike), func(b *testing.B) {
				f, err := jobrecord.Create(filepath.Join(b.TempDir(), "records"), n)
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = f.Close() }()
				for i := range n {
					r, _ := f.Record(i)
					j := jobrecord.Job{Server: 1, Handle: fmt.Sprintf("H:web1:%d", 100+i), Hash: sought().Hash}
					if !alike {
						j.Hash++
					}
					r.Begin(j, 1, 0)
				}
				job := sought()
				job.Handle = "H:web1:999"
				b.ReportAllocs()
				for b.Loop() {
					if _, ok := f.Find(job, 0); ok {
						b.Fatal("found")
					}
				}
			})
		}
	}
}
