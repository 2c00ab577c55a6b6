package supervisor_test

import (
	"bytes"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// delivered is a delivery into collected lines, with fake time.
func delivered(perSecond int) (*supervisor.Delivery, *collected) {
	got := &collected{}
	return supervisor.NewDelivery(supervisor.OutputConfig{
		Line: got.add, Dropped: got.dropped, LinesPerSecond: perSecond,
	}), got
}

// addLines adds lines that number themselves, and waits for their delivery.
func addLines(d *supervisor.Delivery, first, count int) {
	for i := range count {
		d.Add(fmt.Appendf(nil, "line %d", first+i))
	}
	synctest.Wait()
}

func TestLinesAreCappedAndMissingOnesTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, got := delivered(10) // and 50 at once
		addLines(d, 0, 60)
		if all := got.all(); len(all) != 50 || all[49] != "line 49" {
			t.Errorf("at first: %q", all)
		}
		<-time.After(999 * time.Millisecond)
		addLines(d, 60, 10)
		if all := got.all(); len(all) != 50 {
			t.Errorf("told within a second: %q", all[50:])
		}
		<-time.After(time.Millisecond)
		synctest.Wait()
		if all := got.all(); len(all) != 51 || all[50] != "dropped 20" {
			t.Errorf("after a second without lines: %q", all[50:])
		}
		addLines(d, 70, 12)
		<-time.After(time.Second)
		addLines(d, 82, 1)
		if all := got.all(); len(all) != 51+10+2 || all[61] != "dropped 2" || all[62] != "line 82" {
			t.Errorf("of another second: %q", all[51:])
		}
		<-time.After(time.Hour)
		addLines(d, 83, 51)
		if all := got.all(); len(all) != 63+50 {
			t.Errorf("after an hour: %q", all[63:])
		}
		d.Finish()
		mustAccountFor(t, got.all(), 134)
	})
}

func TestAFloodOfTwentySeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, got := delivered(0)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		n := 0
		for range 4_000 {
			<-tick.C
			addLines(d, n, 20)
			n += 20
		}
		d.Finish()
		given, notes := mustAccountFor(t, got.all(), n)
		if given < 20_000 || given > 26_000 || notes < 10 || notes > 21 {
			t.Errorf("%d of %d lines, %d notes", given, n, notes)
		}
	})
}

// As many as are allowed are all delivered, with or without pauses.
func TestNothingIsDroppedBelowTheCap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, got := delivered(100)
		n := 0
		for range 200 {
			addLines(d, n, 100)
			n += 100
			<-time.After(time.Second)
		}
		d.Finish()
		if given, notes := mustAccountFor(t, got.all(), n); given != n || notes != 0 {
			t.Errorf("%d of %d, %d notes", given, n, notes)
		}
	})
}

// A Line that hangs costs lines and no memory.
func TestASlowLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got, gate := &collected{}, make(chan struct{})
		d := supervisor.NewDelivery(supervisor.OutputConfig{
			Line: func(line []byte) { <-gate; got.add(line) }, Dropped: got.dropped, LinesPerSecond: -1,
		})
		n := 0
		for range 100 { // seconds
			addLines(d, n, 1000)
			n += 1000
			<-time.After(time.Second)
		}
		synctest.Wait() // for the note that is due in this moment
		if queued, size := d.Queued(); queued > 5_001 || size > 256<<10 {
			t.Errorf("%d entries of %d bytes", queued, size)
		}
		close(gate)
		synctest.Wait()
		addLines(d, n, 10)
		d.Finish()
		n += 10
		all := got.all()
		if given, notes := mustAccountFor(t, all, n); given != 5_001+10 || notes != 1 {
			t.Errorf("%d of %d lines, %d notes", given, n, notes)
		}
		if last := all[len(all)-1]; last != fmt.Sprintf("line %d", n-1) {
			t.Errorf("the last is %q", last)
		}
		if queued, _ := d.Queued(); queued != 0 {
			t.Errorf("%d are queued", queued)
		}
	})
}

func TestQueuedBytesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate, lines, missing := make(chan struct{}), 0, 0
		d := supervisor.NewDelivery(supervisor.OutputConfig{
			Line: func([]byte) { <-gate; lines++ }, Dropped: func(n int) { missing += n },
		})
		d.Add(bytes.Repeat([]byte("x"), 1<<20)) // one always fits
		synctest.Wait()
		for range 100 {
			d.Add(bytes.Repeat([]byte("x"), 8<<10))
		}
		close(gate)
		d.Finish()
		if lines != 1+32 || missing != 100-32 {
			t.Errorf("%d lines, %d missing", lines, missing)
		}
	})
}

// The process ends though nobody takes its lines, and the newest are known.
func TestTheProcessNeverWaits(t *testing.T) {
	t.Parallel()
	const lines = 200_000
	got, gate := &collected{}, make(chan struct{})
	out, err := supervisor.NewOutput(supervisor.OutputConfig{
		Line: func(line []byte) { <-gate; got.add(line) }, Dropped: got.dropped,
	})
	if err != nil {
		t.Fatal(err)
	}
	spec := child("flood", fmt.Sprint(lines))
	spec.Stdout = out.Writer()
	if e := wait(t, start(t, spec)); !e.Success() {
		t.Fatal(e)
	}
	testutil.WaitFor(t, "the newest line", func() bool {
		tail := out.Tail()
		return len(tail) > 0 && tail[len(tail)-1] == fmt.Sprintf("line %d", lines-1)
	})
	if all := got.all(); len(all) > 0 {
		t.Errorf("delivered through a closed gate: %q", all)
	}
	close(gate)
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	mustAccountFor(t, got.all(), lines)
}

func TestTheFirstLine(t *testing.T) {
	t.Parallel()
	var first []string
	got := &collected{}
	out, err := supervisor.NewOutput(supervisor.OutputConfig{
		First: func(line []byte) { first = append(first, string(line)) }, Line: got.add,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = out.Writer().WriteString("a\nb\na\n")
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if want := []string{"b", "a"}; !reflect.DeepEqual(first, []string{"a"}) || !reflect.DeepEqual(got.all(), want) || !reflect.DeepEqual(out.Tail(), want) {
		t.Errorf("first %q, others %q, tail %q", first, got.all(), out.Tail())
	}
}

func TestLastLinesOfSeveralOutputs(t *testing.T) {
	t.Parallel()
	a, gotA := newOutput(t, supervisor.OutputConfig{Keep: 3})
	b, gotB := newOutput(t, supervisor.OutputConfig{})
	for i := range 6 {
		out, got, name := a, gotA, "a"
		if i%2 == 1 {
			out, got, name = b, gotB, "b"
		}
		before := len(got.all())
		_, _ = fmt.Fprintf(out.Writer(), "%s%d\n%s%d again\n", name, i, name, i)
		testutil.WaitFor(t, "the lines", func() bool { return len(got.all()) == before+2 })
	}
	want := "b1 b1 again a2 again b3 b3 again a4 a4 again b5 b5 again"
	if got := strings.Join(supervisor.LastLines(a, nil, b), " "); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := supervisor.LastLines(); len(got) != 0 {
		t.Errorf("of none: %q", got)
	}
}

// An output that prints nothing has one goroutine: the one that reads.
func TestIdleOutputsHaveOneGoroutine(t *testing.T) {
	playAlone(t, "idle outputs")
}

func idleOutputs([]string) int {
	before := runtime.NumGoroutine()
	var outs []*supervisor.Output
	lines := make(chan string, 200)
	for range 100 {
		out, err := supervisor.NewOutput(supervisor.OutputConfig{Line: func(line []byte) { lines <- string(line) }})
		if err != nil {
			complain("%v", err)
			return 1
		}
		outs = append(outs, out)
		_, _ = out.Writer().WriteString("a line\n")
		<-lines
	}
	deadline := time.Now().Add(testutil.Patience)
	for runtime.NumGoroutine() > before+100 && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine() - before; n != 100 {
		complain("%d goroutines for 100 outputs", n)
	}
	for _, out := range outs {
		_ = out.Close()
	}
	return 0
}

// BenchmarkFlood is what a line costs that a worker prints, of which most are
// dropped.
func BenchmarkFlood(b *testing.B) {
	given := 0
	out, err := supervisor.NewOutput(supervisor.OutputConfig{Line: func([]byte) { given++ }})
	if err != nil {
		b.Fatal(err)
	}
	line := []byte(strings.Repeat("x", 79) + "\n")
	block := bytes.Repeat(line, 100)
	b.ResetTimer()
	for n := 0; n < b.N; n += 100 {
		if _, err := out.Writer().Write(block); err != nil {
			b.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(given), "given")
}
