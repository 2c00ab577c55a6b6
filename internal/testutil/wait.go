package testutil

import (
	"testing"
	"time"
)

// Patience bounds every wait of a test: far more than anything takes on a
// machine that is not broken.
const Patience = 30 * time.Second

// WaitFor looks every few milliseconds until cond holds, and returns how long
// that took. It fails the test after Patience.
func WaitFor(tb testing.TB, what string, cond func() bool) time.Duration {
	tb.Helper()
	began := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Since(began) > Patience {
			tb.Fatalf("waited %v for: %s", Patience, what)
		}
		<-tick.C
	}
	return time.Since(began)
}

// Pause lets time pass, for tests of what happens while nothing does.
func Pause(tb testing.TB, seconds int) {
	tb.Helper()
	select {
	case <-time.After(time.Duration(seconds) * time.Second):
	case <-tb.Context().Done():
	}
}
