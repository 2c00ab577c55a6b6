package php_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/php"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// brief makes the test wait for as long as its error says, where that is a timeout.
// A process of the test binary has time to start on a busy machine.
func brief(want string) func(*php.Config) {
	return func(cfg *php.Config) {
		cfg.ForkTimeout = 10 * time.Second
		switch {
		case strings.Contains(want, "within 2s"):
			cfg.HandshakeTimeout = 2 * time.Second
		case strings.Contains(want, "no hello within 200ms"):
			cfg.InitTimeout = 200 * time.Millisecond
		case strings.Contains(want, "no fork within 200ms"):
			cfg.ForkTimeout = 200 * time.Millisecond
		}
	}
}

func TestParentsThatAreNone(t *testing.T) {
	for mode, c := range map[string]struct {
		check func(*testing.T, error, string)
		want  string
	}{
		"exits":          {checkError[*host.ExitError], `it exited with status 3 before it was ready: its standard error says "PHP Fatal error:  Unable to start"`},
		"cgi":            {checkError[*host.RefusedError], "it is the cgi-fcgi version of php, want that of the command line"},
		"stranger":       {checkError[*host.RefusedError], "it says that it is process "},
		"silent":         {checkError[*host.TimeoutError], "no greeting within 2s"},
		"babbles before": {checkError[*host.TimeoutError], "no greeting within 2s"},
	} {
		t.Run(mode, func(t *testing.T) {
			b := setupPeer(t, mode, "ok", brief(c.want))
			_, err := b.host.Probe(t.Context())
			c.check(t, err, "start php parent with "+b.path+": "+c.want)
			if strings.Contains(c.want, "within") {
				return // the other way to ask would take as long
			}
			_, err = b.gen.Start(t.Context(), launch())
			c.check(t, err, c.want)
		})
	}
}

func TestNoInterpreter(t *testing.T) {
	b := setup(t, "/nowhere/php", nil)
	_, err := b.gen.Start(t.Context(), launch())
	checkError[*supervisor.StartError](t, err, "/nowhere/php")
	if !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// TestAScriptAroundPHP is an interpreter whose process is not the one that answers.
func TestAScriptAroundPHP(t *testing.T) {
	path := filepath.Join(t.TempDir(), "php")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+testutil.Need(t, "php", "php-cli")+` "$@"; exit $?`+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	b := setup(t, path, nil)
	_, err := b.gen.Start(t.Context(), launch())
	checkError[*host.RefusedError](t, err, "is the interpreter a script that does not exec php?")
}

// TestParentsThatDoNotFork are replaced, and then the start fails.
func TestParentsThatDoNotFork(t *testing.T) {
	for mode, c := range map[string]struct {
		check func(*testing.T, error, string)
		want  string
	}{
		"mute":                {checkError[*host.TimeoutError], "no fork within 200ms"},
		"dies":                {checkError[*host.RefusedError], "the php that forks has died: no fork"},
		"babbles":             {checkError[*host.RefusedError], "the php that forks has died: no fork"},
		"never ends a line":   {checkError[*host.RefusedError], "the php that forks has died: no fork"},
		"cannot fork":         {checkError[*host.RefusedError], "php could not fork: Resource temporarily unavailable"},
		"forks nobody":        {checkError[*supervisor.AdoptError], "adopt reverse/3: process 0 is no child of this process"},
		"forks a stranger":    {checkError[*supervisor.AdoptError], "adopt reverse/3: process 1 is no child of this process"},
		"forgets how to fork": {checkError[*host.RefusedError], ": the interpreter says that it cannot fork any more"},
	} {
		t.Run(mode, func(t *testing.T) {
			b := setupPeer(t, mode, "ok", brief(c.want))
			_, err := b.gen.Start(t.Context(), launch())
			c.check(t, err, c.want)
		})
	}
}

// TestTheSecondParentForks has the first one fail.
func TestTheSecondParentForks(t *testing.T) {
	for _, mode := range []string{"mute at first", "dies at first", "forks and dies", "floods"} {
		t.Run(mode, func(t *testing.T) {
			b := setupPeer(t, mode, "ok", func(cfg *php.Config) {
				if cfg.ForkTimeout = 10 * time.Second; mode == "mute at first" {
					cfg.ForkTimeout = 2 * time.Second
				}
			})
			w := b.start(t, launch())
			if err := w.Ping(t.Context()); err != nil {
				t.Error(err)
			}
			w.Release()
			finish(t, w)
			if !w.Exit().Success() {
				t.Errorf("it %v", w.Exit())
			}
		})
	}
}

func TestWorkersThatDoNotStart(t *testing.T) {
	for mode, c := range map[string]struct {
		check func(*testing.T, error, string)
		want  string
	}{
		"never connects":           {checkError[*host.TimeoutError], "no handshake within 2s"},
		"exits before it connects": {checkError[*host.ExitError], `it exited with status 4 before it was ready: its standard error says "cannot load libphp.so"`},
		"lies about its pid":       {checkError[*host.RefusedError], "it says that it is process "},
		"refuses":                  {checkError[*host.RefusedError], ": there is no function resize"},
		"garbage for hello":        {checkError[*host.RefusedError], `: "Warning: something in x.php on line 3"`},
		"nothing for hello":        {checkError[*host.RefusedError], `a line says nothing that is known: "{\"event\":null}"`},
		"pong for hello":           {checkError[*host.RefusedError], "it does not say hello"},
		"ready for hello":          {checkError[*host.RefusedError], "its first event is *workerpb.Event_Ready, want Hello"},
		"contract of version 7":    {checkError[*host.RefusedError], "it speaks version 7 of the worker contract, this manager version 1"},
		"exits while loading":      {checkError[*host.ExitError], `it exited with status 255 before it was ready: its standard error says "PHP Fatal error:  Allowed memory size exhausted"`},
		"closes while loading":     {checkError[*host.RefusedError], ": it closed its connection"},
		"loads for ever":           {checkError[*host.TimeoutError], "no hello within 200ms"},
	} {
		t.Run(mode, func(t *testing.T) {
			b := setupPeer(t, "does not fork", mode, brief(c.want))
			_, err := b.gen.Start(t.Context(), launch())
			c.check(t, err, c.want)
			if n := len(b.sup.Processes()); n != 0 {
				t.Errorf("%d processes left", n)
			}
		})
	}
	t.Run("endless hello", func(t *testing.T) {
		b := setupPeer(t, "does not fork", "endless hello", nil)
		_, err := b.gen.Start(t.Context(), launch())
		checkError[*host.RefusedError](t, err, `a line is longer than 16777216 bytes: "aaaaaaa`)
	})
}

func TestAStartThatIsGivenUp(t *testing.T) {
	stop := errors.New("manager stops")
	for _, mode := range []string{"never connects", "loads for ever"} {
		t.Run(mode, func(t *testing.T) {
			b := setupPeer(t, "does not fork", mode, nil)
			ctx, cancel := context.WithCancelCause(t.Context())
			l := launch()
			l.Started = func(*supervisor.Process) { cancel(stop) }
			if _, err := b.gen.Start(ctx, l); !errors.Is(err, stop) {
				t.Errorf("got %v", err)
			}
			if _, err := b.gen.Start(ctx, l); !errors.Is(err, stop) {
				t.Errorf("with a context that is over: %v", err)
			}
			if n := len(b.sup.Processes()); n != 0 {
				t.Errorf("%d processes left", n)
			}
		})
	}
	for mode, worker := range waiting() {
		t.Run(mode, func(t *testing.T) {
			b := setupPeer(t, mode, worker, func(cfg *php.Config) { cfg.ForkTimeout = time.Minute })
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			timer := time.AfterFunc(100*time.Millisecond, func() { cancel(stop) })
			defer timer.Stop()
			if _, err := b.gen.Start(ctx, launch()); !errors.Is(err, stop) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// waiting are parents, and what they fork, for which a start waits.
func waiting() map[string]string {
	return map[string]string{"silent": "ok", "mute": "ok", "forks one": "never connects"}
}

// TestADeathBeforeTheHandshake is noticed at once.
func TestADeathBeforeTheHandshake(t *testing.T) {
	b := setupPeer(t, "ok", "exits before it connects", func(cfg *php.Config) {
		cfg.ForkTimeout, cfg.HandshakeTimeout = 10*time.Second, 10*testutil.Patience
	})
	began := time.Now()
	_, err := b.gen.Start(t.Context(), launch())
	checkError[*host.ExitError](t, err, `it exited with status 4 before it was ready: its standard error says "cannot load libphp.so"`)
	if took := time.Since(began); took > testutil.Patience {
		t.Errorf("noticed after %v", took)
	}
}

// TestEventsBeforeTheExit come all, though more are sent than wait for a reader, and
// the process is dead when they are read.
func TestEventsBeforeTheExit(t *testing.T) {
	b := setupPeer(t, "does not fork", "exits", nil)
	w := b.start(t, launch())
	testutil.Receive(t, "the end of the process", w.Process().Done())
	events := finish(t, w)
	for i, ev := range events {
		if ev.GetBusy() == nil || int(ev.GetBusy().GetSlot()) != i {
			t.Errorf("event %d is %v", i, ev)
		}
	}
	if len(events) != burst || w.Exit().Code != 5 || w.Err() == nil {
		t.Errorf("%d events; it %v; %v", len(events), w.Exit(), w.Err())
	}
}

func TestAWorkerThatIsCutOff(t *testing.T) {
	b := setupPeer(t, "does not fork", "is cut off", nil)
	w := b.start(t, launch())
	if events := finish(t, w); len(events) != 1 || w.Err() == nil || w.Exit().Code != 6 {
		t.Errorf("%v; %v; it %v", events, w.Err(), w.Exit())
	}
}

// TestHostileWorkers say something that ends their connection, and nothing else.
func TestHostileWorkers(t *testing.T) {
	for mode := range hostile() {
		t.Run(mode, func(t *testing.T) {
			b := setupPeer(t, "does not fork", mode, nil)
			w := b.start(t, launch())
			events := finish(t, w) // at the end of its connection it ends
			if len(events) != 1 || events[0].GetBusy().GetSlot() != 1 {
				t.Errorf("events %v", events)
			}
			if checkError[*php.ProtocolError](t, w.Err(), "read events of reverse/3: "); len(w.Err().Error()) > 3000 {
				t.Errorf("an error of %d bytes", len(w.Err().Error()))
			}
			if err := w.Drain(t.Context(), "stop"); !errors.Is(err, host.ErrEnded) {
				t.Errorf("a call after that: %v", err)
			}
		})
	}
}

// TestWhatAWorkerHears is the exact form of the calls.
func TestWhatAWorkerHears(t *testing.T) {
	b := setupPeer(t, "does not fork", "ok", nil)
	l := launch(php.File{Function: "resize", Path: "/w/resize.php", Symbol: "x_resize", Pear: true})
	w := b.start(t, l)
	for _, err := range []error{
		w.Go(t.Context(), workerpb.Hold_HOLD_REGISTERED, 0),
		w.Set(t.Context(), &workerpb.Settings{Limits: &workerpb.Limits{MaxRuns: 1 << 40}}),
		w.Pause(t.Context(), "a", "b"), w.Resume(t.Context(), "b"),
		w.Suspect(t.Context(), &workerpb.Suspects{Add: []*workerpb.SuspectJob{{Job: &workerpb.JobID{Server: "s:1", Handle: "H:s:1", Hash: 1<<64 - 1}, Attempts: 2}}}),
		w.Ping(t.Context()), w.Drain(t.Context(), "stop\n"),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	var heard []any
	for ev := range w.Events() {
		var text any
		if log := ev.GetLog(); log != nil {
			if err := json.Unmarshal([]byte(log.GetMessage()), &text); err != nil {
				t.Error(err)
			}
			heard = append(heard, text)
		} else if ev.GetLeft().GetCounters().GetDone() != 12345678901 {
			t.Errorf("unexpected: %v", ev)
		}
	}
	var want []any
	if err := json.Unmarshal([]byte(`[
		{"contract":1,"worker":"reverse/3","slots":[{"client_id":"web1/reverse/3"}],
		 "functions":[{"name":"resize","source":{"file":"/w/resize.php","symbol":"x_resize","pear":true}}]},
		{"go":{"hold":1}},
		{"set":{"limits":{"max_runs":"1099511627776"}}},
		{"pause":{"names":["a","b"]}},
		{"resume":{"names":["b"]}},
		{"suspect":{"add":[{"job":{"server":"s:1","handle":"H:s:1","hash":"18446744073709551615"},"attempts":2}]}},
		{"drain":{"reason":"stop\n"}}
	]`), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, heard); diff != "" {
		t.Error(diff)
	}
	w.Release()
	testutil.Receive(t, "the end of the worker", w.Done())
	if !w.Exit().Success() || w.Err() != nil {
		t.Errorf("it %v, %v", w.Exit(), w.Err())
	}
}

func TestAWorkerThatDoesNotAnswer(t *testing.T) {
	b := setupPeer(t, "does not fork", "no pong", nil)
	w := b.start(t, launch())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := w.Ping(ctx)
	checkError[*host.CallError](t, err, "ping worker reverse/3: context deadline exceeded")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if err := w.Drain(ctx, "stop"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a context that is over: %v", err)
	}
	pinged := make(chan error, 1)
	go func() { pinged <- w.Ping(t.Context()) }()
	_ = w.Kill()
	if err := testutil.Receive(t, "the ping of a dead worker", pinged); !errors.Is(err, host.ErrEnded) {
		t.Error(err)
	}
}

// TestADeafWorker does not hold up who tells it something.
func TestADeafWorker(t *testing.T) {
	b := setupPeer(t, "does not fork", "deaf", nil)
	w := b.start(t, launch())
	names := []string{strings.Repeat("f", 100_000)}
	var err error
	for range 1000 {
		if err = w.Pause(t.Context(), names...); err != nil {
			break
		}
	}
	checkError[*host.CallError](t, err, "pause worker reverse/3: too much waits that it was told before")
	if !errors.Is(err, php.ErrBacklog) {
		t.Error(err)
	}
	w.Release()
	_ = w.Kill()
	finish(t, w)
}

// TestSomebodyHoldsTheSocket has a process that left the worker's group hold its
// socket and its outputs, so that they have no end.
func TestSomebodyHoldsTheSocket(t *testing.T) {
	for _, parent := range []string{"ok", "does not fork"} {
		t.Run(parent, func(t *testing.T) {
			b := setupPeer(t, parent, "leaves somebody with the socket", nil)
			w := b.start(t, launch())
			events := finish(t, w)
			if len(events) != 1 || w.Err() == nil || !w.Exit().Success() {
				t.Fatalf("%v; %v; it %v", events, w.Err(), w.Exit())
			}
			killHolder(t, events[0].GetLost().GetServer())
		})
		t.Run(parent+" while loading", func(t *testing.T) {
			b := setupPeer(t, parent, "leaves somebody while loading", nil)
			_, err := b.gen.Start(t.Context(), launch())
			exit, ok := errors.AsType[*host.ExitError](err)
			if !ok || exit.Exit.Code != 12 || len(exit.Tail) != 1 {
				t.Fatalf("got %v", err)
			}
			killHolder(t, exit.Tail[0])
		})
	}
}

func killHolder(t *testing.T, number string) {
	t.Helper()
	pid, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("it did not live: %v", err)
	}
}

// TestStrangers connect, and are nobody who is expected.
func TestStrangers(t *testing.T) {
	b := setupPeer(t, "ok", "ok", func(cfg *php.Config) { cfg.HandshakeTimeout = 2 * time.Second })
	socket := filepath.Join(b.dir, "php", "socket")
	var silent net.Conn
	for _, text := range []string{
		"", `{"id":"1","pid":` + strconv.Itoa(os.Getpid()) + "}\n", `{"parent":{"pid":1}}` + "\n", "\n", "GET / HTTP/1.0\r\n\r\n",
		"{\x00\n", "[]\n", `{"id":7}` + "\n", strings.Repeat("x", 100_000), "",
	} {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if silent = conn; text == "" {
			continue
		}
		_ = conn.SetDeadline(time.Now().Add(testutil.Patience))
		_, _ = io.WriteString(conn, text) // it may be closed before all is written
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%.40q: %v", text, err)
		}
	}
	if err := b.start(t, launch()).Ping(t.Context()); err != nil {
		t.Errorf("while they are there: %v", err)
	}
	_ = silent.SetDeadline(time.Now().Add(testutil.Patience))
	if _, err := silent.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("one that says nothing: %v", err)
	}
}

// TestCloseWithStrangers has one that says nothing while the host is closed.
func TestCloseWithStrangers(t *testing.T) {
	b := setupPeer(t, "ok", "ok", func(cfg *php.Config) { cfg.HandshakeTimeout = time.Hour })
	conn, err := net.Dial("unix", filepath.Join(b.dir, "php", "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := b.start(t, launch()).Kill(); err != nil { // it has been accepted by then
		t.Error(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- b.host.Close() }()
	if err := testutil.Receive(t, "Close", closed); err != nil {
		t.Error(err)
	}
	_ = conn.SetDeadline(time.Now().Add(testutil.Patience))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// TestClose has it come while something waits.
func TestClose(t *testing.T) {
	for mode, worker := range waiting() {
		t.Run(mode, func(t *testing.T) {
			b := setupPeer(t, mode, worker, func(cfg *php.Config) { cfg.ForkTimeout = time.Minute })
			started := make(chan error, 2)
			for range cap(started) {
				go func() {
					_, err := b.gen.Start(t.Context(), launch())
					started <- err
				}()
			}
			testutil.WaitFor(t, "a parent", func() bool { return len(b.sup.Processes()) > 0 })
			b.close(t)
			for range cap(started) {
				if err := testutil.Receive(t, "the starts", started); err == nil || !errors.Is(err, php.ErrClosed) {
					t.Errorf("got %v", err)
				}
			}
			if _, err := b.host.Probe(t.Context()); !errors.Is(err, php.ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		})
	}
}

func TestDirectories(t *testing.T) {
	b := setupPeer(t, "ok", "ok", nil)
	for dir, want := range map[string]string{
		"relative":                    "is no absolute path",
		"/" + strings.Repeat("d", 96): "is 97 bytes long, php's socket leaves room for 96",
	} {
		_, err := php.New(php.Config{Supervisor: b.sup, Dir: dir, Path: b.path})
		checkError[*host.DirError](t, err, want)
	}
	if _, err := php.New(php.Config{Supervisor: b.sup, Dir: b.dir, Path: b.path}); !errors.Is(err, os.ErrExist) {
		t.Errorf("a second host in the same directory: %v", err)
	}
	if _, err := php.New(php.Config{Supervisor: b.sup, Dir: filepath.Join(b.dir, "none"), Path: b.path}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}

// TestLongPath uses the longest directory.
func TestLongPath(t *testing.T) {
	base := t.TempDir()
	dir := base + "/" + strings.Repeat("d", 96-len(base)-1)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	b := setupPeer(t, "does not fork", "ok", func(cfg *php.Config) { cfg.Dir = dir })
	if err := b.start(t, launch()).Ping(t.Context()); err != nil {
		t.Error(err)
	}
}
