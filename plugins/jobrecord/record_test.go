package jobrecord_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
)

func create(t *testing.T, n int) *jobrecord.File {
	t.Helper()
	f, err := jobrecord.Create(filepath.Join(t.TempDir(), "records"), n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func record(t *testing.T, f *jobrecord.File, i int) *jobrecord.Record {
	t.Helper()
	r, err := f.Record(i)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestHash pins the values, which other languages have to compute too.
func TestHash(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		function, unique, workload string
		want                       uint64
	}{
		{"", "", "", 0x00000000_41d912ff},
		{"reverse", "", "hello", 0x00000005_70392cfd},
		{"reverse", "u-1", "hello", 0x00000005_9839be53},
		{"reverse", "", "a\x00b", 0x00000003_fee1b19b},
	} {
		got := jobrecord.Hash(c.function, c.unique, []byte(c.workload))
		if got != c.want {
			t.Errorf("%q %q %q: %#016x, want %#016x", c.function, c.unique, c.workload, got, c.want)
		}
	}
	long := jobrecord.Hash(strings.Repeat("f", 512), strings.Repeat("u", 64), make([]byte, 1<<20))
	if long>>32 != 1<<20 {
		t.Errorf("hash of 1 MiB: %#x", long)
	}
	if a, b := jobrecord.Hash("a", "bc", nil), jobrecord.Hash("ab", "c", nil); a == b {
		t.Error("function and unique are not told apart")
	}
}

func TestLifeOfARecord(t *testing.T) {
	t.Parallel()
	f := create(t, 2)
	r := record(t, f, 1)
	check := func(what string, want jobrecord.Snapshot) {
		t.Helper()
		if diff := cmp.Diff(want, r.Snapshot()); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	check("empty", jobrecord.Snapshot{})
	job := jobrecord.Job{Server: 1, Function: 65535, Handle: "H:web1:42", Hash: 1<<63 + 1, Unique: "user 7"}
	r.Begin(job, 5*time.Second, 100)
	check("begun", jobrecord.Snapshot{Job: job, Busy: true, Start: 5 * time.Second, Begun: 1, Bytes: 100})
	r.End(7*time.Second, true, 11)
	done := jobrecord.Snapshot{Job: job, Start: 5 * time.Second, Begun: 1, Done: 1, Failed: 1, Bytes: 111, Spent: 2 * time.Second}
	check("ended", done)
	r.End(9*time.Second, true, 1)
	done.Done, done.Failed, done.Bytes = 2, 2, 112
	check("answered without being performed", done)
	job.Handle, job.Unique = strings.Repeat("h", 64), strings.Repeat("u", 64)
	r.Begin(jobrecord.Job{Handle: job.Handle + "over", Server: 1, Function: 65535, Hash: job.Hash, Unique: job.Unique + "over"}, 10*time.Second, 0)
	r.Drop()
	done.Job, done.Start, done.Begun = job, 10*time.Second, 2
	check("given back", done)
	job.Unique = ""
	r.Begin(job, 11*time.Second, 0)
	r.Clear()
	done.Job, done.Start, done.Begun = job, 11*time.Second, 3
	check("cleared", done)
	if diff := cmp.Diff(jobrecord.Snapshot{}, record(t, f, 0).Snapshot()); diff != "" {
		t.Errorf("the neighbour: %s", diff)
	}
}

// TestTornRecord has a writer that died in the middle: a reader sees that, and
// the next writer's record is whole, whether it was cleared before or not.
func TestTornRecord(t *testing.T) {
	t.Parallel()
	for _, clearIt := range []bool{true, false} {
		f := create(t, 1)
		r := record(t, f, 0)
		r.Begin(jobrecord.Job{Handle: "H:1"}, 1, 0)
		file, err := os.OpenFile(f.Path(), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteAt([]byte{7}, 0); err != nil { // an odd version
			t.Fatal(err)
		}
		_ = file.Close()
		if s := r.Snapshot(); !s.Torn || !s.Busy {
			t.Errorf("torn: %+v", s)
		}
		if clearIt {
			r.Clear()
			if s := r.Snapshot(); s.Torn || s.Busy {
				t.Errorf("cleared: %+v", s)
			}
		}
		r.Begin(jobrecord.Job{Handle: "H:2"}, 2, 0)
		if s := r.Snapshot(); s.Torn || !s.Busy || s.Handle != "H:2" {
			t.Errorf("clear %t, begun anew: %+v", clearIt, s)
		}
		r.End(3, false, 0)
		if s := r.Snapshot(); s.Torn || s.Busy || s.Done != 1 {
			t.Errorf("clear %t, ended: %+v", clearIt, s)
		}
	}
}

// TestOtherProcessWrites reads what another process writes as fast as it can,
// and kills it: no snapshot mixes two jobs, and the last one may be torn but
// says so.
func TestOtherProcessWrites(t *testing.T) {
	t.Parallel()
	f := create(t, 2)
	cmd := startWriter(t, writerEnv, f.Path())
	r := record(t, f, 1)
	whole, last := 0, uint64(0)
	for range 30_000 {
		s := r.Snapshot()
		if s.Torn || s.Begun == 0 {
			continue
		}
		whole++
		if diff := cmp.Diff(numbered(s.Hash), s.Job); diff != "" || s.Begun != s.Hash || s.Begun < last || s.Begun-s.Done > 1 {
			t.Fatalf("after %d: %+v %s", last, s, diff)
		}
		last = s.Begun
	}
	if whole < 100 || last < 2 {
		t.Errorf("%d whole snapshots, up to job %d", whole, last)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if s := r.Snapshot(); s.Begun < last {
		t.Errorf("after the death: %+v", s)
	}
	r.Clear()
	if s := r.Snapshot(); s.Busy || s.Torn {
		t.Errorf("cleared: %+v", s)
	}
}

// startWriter makes another process write record 1, until it is killed.
func startWriter(t *testing.T, env, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), env+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "writing\n" {
		_ = cmd.Process.Kill()
		t.Fatalf("the writer says %q, %v", line, err)
	}
	return cmd
}

// TestKilledInAWrite has writers that are killed while they do nothing but
// write(2): the record is whole each time.
func TestKilledInAWrite(t *testing.T) {
	t.Parallel()
	f := create(t, 3)
	r := record(t, f, 1)
	for range 10 {
		before := r.Snapshot().Hash
		cmd := startWriter(t, callerEnv, f.Path())
		for deadline := time.Now().Add(testutil.Patience); r.Snapshot().Hash == before; {
			if time.Now().After(deadline) {
				t.Fatal("nothing is written")
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
		s := r.Snapshot()
		want := jobrecord.Snapshot{Job: numbered(s.Hash), Busy: true, Start: 1, Begun: s.Hash, Done: s.Hash - 1}
		if diff := cmp.Diff(want, s); diff != "" || s.Hash == 0 {
			t.Errorf("job %d: %s", s.Hash, diff)
		}
	}
}

// TestTwoReadsAgree has reads in which parts of a write are visible.
func TestTwoReadsAgree(t *testing.T) {
	t.Parallel()
	whole := func(n uint64) jobrecord.Read {
		return jobrecord.Read{Content: [jobrecord.Size]byte(called(n)), Whole: true}
	}
	mixed, halved, torn := whole(2), whole(2), whole(2)
	copy(mixed.Content[64:], called(1)[64:])
	copy(halved.Content[:16], called(1)[:16])
	torn.Whole = false
	for _, c := range []struct {
		name  string
		reads []jobrecord.Read
		want  uint64 // the job
		count int
	}{
		{"nothing is written", []jobrecord.Read{whole(1)}, 1, 2},
		{"a write between two reads", []jobrecord.Read{whole(1), whole(2)}, 2, 3},
		{"the beginning is visible first", []jobrecord.Read{mixed, whole(2)}, 2, 3},
		{"the end is visible first", []jobrecord.Read{whole(1), halved, whole(2)}, 2, 4},
		{"during a write", []jobrecord.Read{torn, whole(2)}, 2, 3},
		{"a write in the second read", []jobrecord.Read{whole(2), torn, whole(2)}, 2, 4},
	} {
		got, ok, count := jobrecord.Settled(c.reads)
		if diff := cmp.Diff(called(c.want), got[:]); diff != "" || !ok || count != c.count {
			t.Errorf("%s: %t after %d reads, want %d: %s", c.name, ok, count, c.count, diff)
		}
	}
	if _, ok, count := jobrecord.Settled([]jobrecord.Read{torn}); ok || count != 1000 {
		t.Errorf("a write without end: %t after %d reads", ok, count)
	}
}

// TestNow is the system's clock, which other processes read too.
func TestNow(t *testing.T) {
	t.Parallel()
	clock := func() time.Duration {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
			t.Fatal(err)
		}
		return time.Duration(ts.Nano())
	}
	for range 1000 {
		before, now, after := clock(), jobrecord.Now(), clock()
		if now < before-time.Millisecond || now > after+time.Millisecond {
			t.Fatalf("%v is not between %v and %v", now, before, after)
		}
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	f := create(t, 3)
	if info, err := os.Stat(f.Path()); err != nil || info.Mode().Perm() != 0o600 || info.Size() != 3*jobrecord.Size || f.Len() != 3 {
		t.Errorf("%v, %v, %d records", info, err, f.Len())
	}
	for _, i := range []int{-1, 3} {
		if _, err := f.Record(i); err == nil || !strings.Contains(err.Error(), "it has 3") {
			t.Errorf("record %d: %v", i, err)
		}
	}
	if _, err := jobrecord.Create(f.Path(), 1); err == nil {
		t.Error("made over an existing file")
	}
	if _, err := jobrecord.Open(f.Path() + "x"); err == nil {
		t.Error("opened nothing")
	}
	for _, n := range []int{0, -1} {
		path := f.Path() + "y"
		if _, err := jobrecord.Create(path, n); err == nil {
			t.Errorf("made %d records", n)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%d records left a file", n)
		}
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func BenchmarkJob(b *testing.B) {
	f, err := jobrecord.Create(filepath.Join(b.TempDir(), "records"), 1)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	workload := make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		r, _ := f.Record(0)
		hash := jobrecord.Hash("reverse", "", workload)
		r.Begin(jobrecord.Job{Handle: "H:web1:123456", Hash: hash}, jobrecord.Now(), len(workload))
		r.End(jobrecord.Now(), false, len(workload))
	}
}
