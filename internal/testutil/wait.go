package testutil

import (
	"testing"
	"time"
)

// Patience bounds every wait of a test: far more than anything takes on a
// machine that is not broken.
const Patience = 30 * time.Second

// WaitFor looks every few milliseconds until cond holds, and returns how long
// that took. It fails the test after [Patience].
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

// Receive receives from ch, or sees that it is closed. It fails the test after
// [Patience].
func Receive[T any](tb testing.TB, what string, ch <-chan T) T {
	tb.Helper()
	late := time.NewTimer(Patience)
	defer late.Stop()
	select {
	case v := <-ch:
		return v
	case <-late.C:
		tb.Fatalf("waited %v for: %s", Patience, what)
		panic("unreachable")
	}
}

// Pause lets time pass, for tests of what happens while nothing does.
func Pause(tb testing.TB, seconds int) {
	tb.Helper()
	select {
	case <-time.After(time.Duration(seconds) * time.Second):
	case <-tb.Context().Done():
	}
}
