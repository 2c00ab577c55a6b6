package logging_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/internal/logging"
)

// sink is an output that takes lines only while it is open, and may refuse them.
type sink struct {
	mu      sync.Mutex
	taken   bytes.Buffer
	refuse  bool
	refused chan struct{} // has an element for each
	writing bool
	entered chan struct{}   // has an element when a line has come
	gate    chan struct{}   // nil: open
	opened  context.Context // ends when the gate is open for good
}

// stuckSink is one that takes nothing until open is called, or lines are let through
// one by one.
func stuckSink() (s *sink, open func()) {
	ctx, cancel := context.WithCancel(context.Background())
	return &sink{entered: make(chan struct{}, 1), gate: make(chan struct{}), opened: ctx}, cancel
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	if s.writing {
		panic("two writes at a time")
	}
	s.writing = true
	s.mu.Unlock()
	if s.gate != nil {
		select {
		case s.entered <- struct{}{}:
		default:
		}
		select {
		case <-s.gate:
		case <-s.opened.Done():
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing = false
	if s.refuse {
		s.refused <- struct{}{}
		return 0, errors.New("no room")
	}
	return s.taken.Write(p)
}

func (s *sink) setRefuse(refuse bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = refuse
}

// lines returns what was taken.
func (s *sink) lines(t *testing.T) []map[string]any {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []map[string]any
	for line := range strings.Lines(s.taken.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, fields)
	}
	return all
}

func async(t *testing.T, out io.Writer) (zerolog.Logger, *logging.Queue) {
	t.Helper()
	log, queue, err := logging.NewAsync(logging.Config{Out: out, Format: logging.JSON})
	if err != nil {
		t.Fatal(err)
	}
	return log, queue
}

func flush(t *testing.T, queue *logging.Queue) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := queue.Close(ctx); err != nil {
		t.Fatal(err)
	}
}

// TestQueueKeepsOrder: lines of many goroutines all arrive, those of one in order, and
// the last before Close too.
func TestQueueKeepsOrder(t *testing.T) {
	t.Parallel()
	out := &sink{}
	log, queue := async(t, out)
	var logging sync.WaitGroup
	for who := range 4 {
		logging.Go(func() {
			for n := range 200 {
				log.Warn().Int("who", who).Int("n", n).Msg("x")
			}
		})
	}
	logging.Wait()
	flush(t, queue)
	log.Warn().Int("who", 0).Int("n", 200).Msg("after the end")
	next := map[any]float64{}
	lines := out.lines(t)
	for _, l := range lines {
		if l["n"] != next[l["who"]] {
			t.Fatalf("got %v, want number %v", l, next[l["who"]])
		}
		next[l["who"]]++
	}
	if len(lines) != 801 {
		t.Errorf("%d lines arrived, want 801", len(lines))
	}
	flush(t, queue)
}

// TestStuckOutput: an output that takes nothing keeps nobody waiting and costs a
// bounded amount of memory. When it takes lines again they are in order, and each gap
// is told with its exact size.
func TestStuckOutput(t *testing.T) {
	t.Parallel()
	out, open := stuckSink()
	defer open()
	log, queue := async(t, out)
	text := strings.Repeat("x", 1000)
	const total = 5000 // five times what the queue holds
	for n := range total {
		log.Warn().Int("n", n).Msg(text)
	}
	for range 700 { // most of the queue: it takes lines again
		out.gate <- struct{}{}
	}
	for n := range 10 {
		log.Warn().Int("n", total+n).Msg("later")
	}
	open()
	flush(t, queue)
	next, gaps := 0, 0
	var size int
	for _, l := range out.lines(t) {
		if l["message"] == "log lines dropped" {
			missing, _ := l[logging.FieldLines].(float64)
			next += int(missing)
			gaps++
			if l["level"] != "warn" || l["detail"] == "" {
				t.Errorf("%v", l)
			}
			continue
		}
		if got, _ := l["n"].(float64); int(got) != next {
			t.Fatalf("got line %v, want %d", got, next)
		}
		next++
		size += len(text)
	}
	if next != total+10 || gaps != 1 {
		t.Errorf("%d lines are accounted for in %d gaps, want %d in 1", next, gaps, total+10)
	}
	if size > logging.QueueSize || size < logging.QueueSize*8/10 {
		t.Errorf("%d bytes were kept, want nearly %d", size, logging.QueueSize)
	}
}

// TestGapsAreFew: an output that is too slow for long is not kept busy with the news
// that it is slow.
func TestGapsAreFew(t *testing.T) {
	t.Parallel()
	out, open := stuckSink()
	defer open()
	log, queue := async(t, out)
	text := strings.Repeat("x", 10_000)
	for range 200 {
		log.Warn().Msg(text)
	}
	for range 300 { // one is taken, two come
		out.gate <- struct{}{}
		log.Warn().Msg(text)
		log.Warn().Msg(text)
	}
	open()
	flush(t, queue)
	gaps := 0
	lines := out.lines(t)
	for _, l := range lines {
		if l["message"] == "log lines dropped" {
			gaps++
		}
	}
	if len(lines) < 300 || gaps < 2 || gaps > len(lines)/20 {
		t.Errorf("%d of %d lines tell of gaps", gaps, len(lines))
	}
}

// TestCloseGivesUp: an output that takes nothing does not keep the program from
// ending, and nobody waits for it afterwards either.
func TestCloseGivesUp(t *testing.T) {
	t.Parallel()
	out, open := stuckSink()
	log, queue := async(t, out)
	for range 3 {
		log.Warn().Msg("x")
	}
	why := errors.New("late")
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, why)
	defer cancel()
	err := queue.Close(ctx)
	if e, ok := errors.AsType[*logging.FlushError](err); !ok || e.Lines != 3 || !errors.Is(err, why) || !strings.Contains(err.Error(), "3 lines") {
		t.Errorf("%v", err)
	}
	log.Warn().Msg("into the void")
	open()
	flush(t, queue)
	if n := len(out.lines(t)); n != 3 {
		t.Errorf("%d lines", n)
	}
}

// TestRefusedLines: lines that the output refuses are counted, and told when it takes
// lines again, or at the end.
func TestRefusedLines(t *testing.T) {
	t.Parallel()
	for _, more := range []bool{true, false} {
		out := &sink{refuse: true, refused: make(chan struct{}, 10)}
		log, queue := async(t, out)
		log.Warn().Msg("a")
		<-out.refused
		<-out.refused // that a is lost
		log.Warn().Msg("b")
		<-out.refused // that a is lost
		<-out.refused // b
		<-out.refused // that both are
		out.setRefuse(false)
		if more {
			log.Warn().Msg("c")
		}
		flush(t, queue)
		lines := out.lines(t)
		if len(lines) == 0 || lines[0][logging.FieldLines] != 2.0 || more && (len(lines) != 2 || lines[1]["message"] != "c") {
			t.Errorf("%v", lines)
		}
	}
}

// TestLongLine: a line that is larger than the queue is cut, between letters.
func TestLongLine(t *testing.T) {
	t.Parallel()
	for shift := range 4 {
		out := &sink{}
		_, queue := async(t, out)
		line := strings.Repeat("x", shift) + strings.Repeat("€", logging.QueueSize) + "\n"
		if n, err := queue.Write([]byte(line)); n != len(line) || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		flush(t, queue)
		got := out.taken.String()
		if len(got) > logging.QueueSize || len(got) < logging.QueueSize-4 || !utf8.ValidString(got) || !strings.HasSuffix(got, "€ […]\n") {
			t.Errorf("%d bytes are left, that end with %q", len(got), got[max(0, len(got)-20):])
		}
	}
}

// TestFullPipe: a real pipe that nobody reads, as of a log program that hangs.
func TestFullPipe(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	log, queue := async(t, w)
	for n := range 3000 {
		log.Warn().Int("n", n).Str("text", strings.Repeat("y", 100)).Msg("x")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := queue.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	read := make(chan int)
	go func() {
		all, _ := io.ReadAll(r)
		read <- bytes.Count(all, []byte("\n"))
	}()
	flush(t, queue)
	_ = w.Close()
	if n := <-read; n != 3000 {
		t.Errorf("%d lines, want 3000", n)
	}
}

func TestAsyncFormats(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if _, queue, err := logging.NewAsync(logging.Config{Out: &out, Format: "xml"}); err == nil || queue != nil {
		t.Error("a format that there is not")
	}
	log, queue, err := logging.NewAsync(logging.Config{Out: &out, Verbosity: 1})
	if err != nil {
		t.Fatal(err)
	}
	log.Info().Msg("hello")
	log.Debug().Msg("not asked for")
	flush(t, queue)
	if got := out.String(); !strings.HasSuffix(got, " INF hello\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("%q", got)
	}
}

func BenchmarkLog(b *testing.B) {
	file, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	cfg := logging.Config{Out: file, Format: logging.JSON}
	direct, err := logging.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	queued, queue, err := logging.NewAsync(cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = queue.Close(b.Context()) }()
	for name, log := range map[string]zerolog.Logger{"direct": direct, "queued": queued} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				log.Warn().Str("worker", "resize/1").Int("pid", 1).Msg("worker crashed")
			}
		})
	}
}
