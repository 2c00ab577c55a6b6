package host_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/plugins/host"
)

// A worker that floods both streams goes on though nobody takes a line, and each
// line is given or counted.
func TestAFloodDoesNotHoldUpAWorker(t *testing.T) {
	b := setup(t, nil)
	launch := b.launch("floods")
	var mu sync.Mutex
	gate, seen, missing := make(chan struct{}), map[string]int{}, map[string]int{}
	launch.Output = func(stream, _ string) {
		<-gate
		mu.Lock()
		defer mu.Unlock()
		seen[stream]++
	}
	launch.Dropped = func(stream string, lines int) {
		mu.Lock()
		defer mu.Unlock()
		missing[stream] += lines
	}
	w := b.start(t, launch)
	if ev := testutil.Receive(t, "the end of the flood", w.Events()); ev == nil {
		t.Fatal(w.Err())
	}
	last := fmt.Sprintf("line %d", floodLines-1)
	testutil.WaitFor(t, "the last lines of both streams", func() bool {
		n := 0
		for _, line := range w.LastLines() {
			if line == last {
				n++
			}
		}
		return n == 2
	})
	close(gate)
	_ = w.Kill()
	testutil.Receive(t, "the end", w.Done())
	for _, stream := range []string{host.Stdout, host.Stderr} {
		if all := seen[stream] + missing[stream]; all != floodLines || missing[stream] == 0 {
			t.Errorf("%s: %d lines given, %d missing", stream, seen[stream], missing[stream])
		}
	}
	if tail := w.Tail(); len(tail) == 0 || tail[len(tail)-1] != last {
		t.Errorf("tail %q", tail)
	}
}
