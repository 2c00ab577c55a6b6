package fleet

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// TestPHPLargeJobs sends 20 MiB of any bytes, and has them back.
func TestPHPLargeJobs(t *testing.T) {
	t.Parallel()
	large := make([]byte, 20<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(large) // never fails
	for _, setup := range phpKinds() {
		t.Run(setup.name, func(t *testing.T) {
			t.Parallel()
			f := newPHPFleet(t)
			f.startPHP(setup, "worker_dir = PHP/workers\ninclude = duplicate\n")
			f.waitAll("duplicate", 1)
			before := f.phpWorkers()["duplicate/1"]
			for range 2 {
				if got, err := f.do("duplicate", string(large)); err != nil || got != string(large) {
					t.Errorf("%d bytes came back, %v; want %d", len(got), err, len(large))
				}
			}
			f.wantPHP("duplicate", "small", "small")
			if now := f.phpWorkers()["duplicate/1"]; now != before {
				t.Errorf("the worker was replaced: %d became %d", before, now)
			}
		})
	}
}

// TestPHPLongRun has 10,000 jobs done by one worker, whose memory does not grow
// meanwhile.
func TestPHPLongRun(t *testing.T) {
	t.Parallel()
	for _, setup := range phpKinds() {
		t.Run(setup.name, func(t *testing.T) {
			t.Parallel()
			f := newPHPFleet(t)
			f.startPHP(setup, "worker_dir = PHP/workers\ninclude = reverse,memory\ncount = 1\nverbose = 1\n")
			f.waitAll("reverse,memory", 1)
			f.many("reverse", 2000)
			used, resident := f.memory()
			f.many("reverse", 10_000)
			usedThen, residentThen := f.memory()
			t.Logf("php uses %d bytes, and %d after 10,000 jobs; %d KiB are resident, and %d then", used, usedThen, resident, residentThen)
			if usedThen > used+1024 {
				t.Errorf("php used %d bytes and uses %d after 10,000 jobs", used, usedThen)
			}
			if residentThen > resident+1024 {
				t.Errorf("%d KiB were resident and %d are after 10,000 jobs", resident, residentThen)
			}
		})
	}
}

// many has jobs done, 20 at a time.
func (f *phpFleet) many(function string, n int) {
	f.tb.Helper()
	var wg sync.WaitGroup
	for at := range 20 {
		wg.Go(func() {
			for i := at; i < n; i += 20 {
				if got, err := f.do(function, "0123456789"); err != nil || got != "9876543210" {
					f.tb.Errorf("job %d: %q, %v", i, got, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// memory is what php says that it uses, in bytes, and what is resident of the
// only worker, in KiB.
func (f *phpFleet) memory() (used, resident int) {
	f.tb.Helper()
	text, err := f.do("memory", "")
	if err == nil {
		used, err = strconv.Atoi(text)
	}
	if err != nil {
		f.tb.Fatal(err)
	}
	if workers := f.phpWorkers(); len(workers) != 1 {
		f.tb.Fatalf("workers: %v, want one", workers)
	}
	for _, pid := range f.phpWorkers() {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			f.tb.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(status), "VmRSS:")
		n, err := strconv.Atoi(strings.Fields(rest)[0])
		if err != nil {
			f.tb.Fatal(err)
		}
		resident += n
	}
	return used, resident
}
