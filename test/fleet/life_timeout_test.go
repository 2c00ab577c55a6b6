package fleet

import (
	"sync"
	"testing"
	"time"
)

// TestTimeoutFails has jobs of every kind of worker take a minute where a second is
// allowed: in a sleep, without regard for their end, in a loop, and stopped. Each
// client has an exception, and no job runs again.
func TestTimeoutFails(t *testing.T) {
	t.Parallel()
	for _, k := range lifeKinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			f := newLife(t, k.name)
			f.startKind(k, "timeout = 1\non_timeout = fail\n", "dedicated_count = 2\n", "-v")
			f.waitRegistered(map[string]int{"act": 2})
			for _, word := range k.slow {
				runs := f.newNotes(word)
				text, took, err := f.act(word, runs)
				f.wantException(word, text, err)
				t.Logf("%s: %v: %v", word, took.Round(time.Millisecond), err)
				if took < time.Second || took > 15*time.Second {
					t.Errorf("%s: answered after %v, want 1 s, and at most 1.5 s of an idle machine", word, took)
				}
				f.waitRegistered(map[string]int{"act": 2})
				if got, err := f.do("act", "echo - after"); err != nil || got != "after" {
					t.Errorf("after %s: %q, %v", word, got, err)
				}
				runs.wantRuns(t, 1, 1)
			}
			f.wantEmpty()
			f.stopLife()
			for _, word := range k.slow {
				f.newNotes(word).wantRuns(t, 1, 1)
			}
		})
	}
}

// TestTimeoutReissues has the same jobs queued again: each runs job_attempts times,
// never while the process of its last run is there, and then its client has an
// exception.
func TestTimeoutReissues(t *testing.T) {
	t.Parallel()
	const attempts = 3
	for _, k := range lifeKinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			f := newLife(t, k.name)
			f.startKind(k, "timeout = 2\non_timeout = reissue\njob_attempts = 3\n", "dedicated_count = 5\n", "-v")
			f.waitRegistered(map[string]int{"act": 5})
			var all sync.WaitGroup
			for _, word := range k.slow {
				all.Go(func() {
					text, took, err := f.act(word, f.newNotes(word))
					f.wantException(word, text, err)
					t.Logf("%s: %v: %v", word, took.Round(time.Millisecond), err)
					if took < attempts*2*time.Second {
						t.Errorf("%s: answered after %v, want %d runs of two seconds each", word, took, attempts)
					}
				})
			}
			all.Wait()
			f.waitRegistered(map[string]int{"act": 5})
			f.wantEmpty()
			if n := len(f.quarantined()); n != len(k.slow) {
				t.Errorf("%d jobs in quarantine, want %d:\n%s", n, len(k.slow), f.ask("quarantine"))
			}
			f.stopLife()
			for _, word := range k.slow {
				f.newNotes(word).wantRuns(t, attempts, attempts)
			}
		})
	}
}
