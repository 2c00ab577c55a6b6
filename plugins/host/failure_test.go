package host_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// startFailures are plugins that never get to work, with the error's type and its
// text after "start plugin PATH: ".
func startFailures() map[string]struct {
	as   any
	want string
} {
	return map[string]struct {
		as   any
		want string
	}{
		"garbage": {
			&host.HandshakeError{},
			`it is no worker plugin, or prints before plugins.Serve is called: its first line is "Hello, I am\x01 no plugin!!!!`,
		},
		"exit":                     {&host.ExitError{}, `it exited with status 3 before it was ready: "cannot load libfoo.so.7"`},
		"panic":                    {&host.ExitError{}, `it exited with status 2 before it was ready: "panic: no settings`},
		"handshake of version 7":   {&host.VersionError{}, "it speaks version 7 of the worker contract, this manager version 1"},
		"description of version 7": {&host.VersionError{}, "it speaks version 7 of the worker contract, this manager version 1"},
		"elsewhere":                {&host.RefusedError{}, "it does not listen on a socket in the directory that it was given"},
		"run refused":              {&host.RefusedError{}, "open job records: no such file"},
		"no hello":                 {&host.RefusedError{}, "it ended the stream of events before Hello"},
		"other event first":        {&host.RefusedError{}, "its first event is *workerpb.Event_Busy, want Hello"},
		"exit in init":             {&host.ExitError{}, `it exited with status 2 before it was ready: "panic: no database"`},
	}
}

func TestStartFailures(t *testing.T) {
	b := setup(t, nil)
	for mode, c := range startFailures() {
		t.Run(mode, func(t *testing.T) {
			_, err := b.host.Start(t.Context(), b.launch(mode))
			checkError(t, err, c.as, "start plugin "+b.self+": "+c.want)
		})
	}
}

func TestStartTimeouts(t *testing.T) {
	b := setup(t, func(cfg *host.Config) {
		cfg.HandshakeTimeout = 300 * time.Millisecond
		cfg.InitTimeout = 300 * time.Millisecond
	})
	for mode, want := range map[string]string{
		"silent":    "no handshake within 300ms",
		"no server": "no handshake within 300ms",
	} {
		t.Run(mode, func(t *testing.T) {
			_, err := b.host.Start(t.Context(), b.launch(mode))
			checkError(t, err, &host.TimeoutError{}, "start plugin "+b.self+": "+want)
		})
	}
}

// The program has to print within the time, also where many others run.
func TestGarbageWithoutEnd(t *testing.T) {
	b := setup(t, func(cfg *host.Config) { cfg.HandshakeTimeout = 2 * time.Second })
	_, err := b.host.Start(t.Context(), b.launch("garbage without end"))
	checkError(t, err, &host.HandshakeError{}, "start plugin "+b.self+": it is no worker plugin")
}

func TestInitTimeout(t *testing.T) {
	b := setup(t, func(cfg *host.Config) { cfg.InitTimeout = 50 * time.Millisecond })
	_, err := b.host.Start(t.Context(), b.launch("slow init"))
	checkError(t, err, &host.TimeoutError{}, "start plugin "+b.self+": no hello within 50ms")
}

func TestStartCancelled(t *testing.T) {
	b := setup(t, nil)
	stop := errors.New("manager stops")
	for _, mode := range []string{"silent", "slow init", "no server"} {
		t.Run(mode, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			launch := b.launch(mode)
			launch.Started = func(*supervisor.Process) { cancel(stop) }
			if _, err := b.host.Start(ctx, launch); !errors.Is(err, stop) {
				t.Errorf("got %v", err)
			}
			if _, err := b.host.Start(ctx, launch); !errors.Is(err, stop) {
				t.Errorf("with a context that is over: %v", err)
			}
			if n := len(b.sup.Processes()); n != 0 {
				t.Errorf("%d processes left", n)
			}
		})
	}
}

func TestDescribeFailures(t *testing.T) {
	b := setup(t, nil)
	for mode, c := range startFailures() {
		switch mode {
		case "run refused", "no hello", "other event first", "exit in init":
			continue // these never get that far
		}
		t.Run(mode, func(t *testing.T) {
			_, err := b.host.Describe(t.Context(), b.launch(mode))
			checkError(t, err, c.as, "start plugin "+b.self+": "+c.want)
		})
	}
	t.Run("exit in description", func(t *testing.T) {
		_, err := b.host.Describe(t.Context(), b.launch("exit in description"))
		checkError(t, err, &host.ExitError{}, "start plugin "+b.self+`: it exited with status 4 before it was ready: "gone"`)
	})
}

func TestDescribeTimeout(t *testing.T) {
	b := setup(t, func(cfg *host.Config) { cfg.HandshakeTimeout = 2 * time.Second })
	_, err := b.host.Describe(t.Context(), b.launch("slow description"))
	checkError(t, err, &host.TimeoutError{}, "start plugin "+b.self+": no description within 2s")
}

func TestNotExecutable(t *testing.T) {
	b := setup(t, nil)
	for name, text := range map[string]string{
		"plain":     "no program\n",
		"noint":     "#!/no/such/interpreter\n",
		"not there": "",
	} {
		path := filepath.Join(t.TempDir(), name)
		if text != "" {
			if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		launch := b.launch("ok")
		launch.Path = path
		_, err := b.host.Start(t.Context(), launch)
		checkError(t, err, &supervisor.StartError{}, "start resize/3: "+path)
	}
}

// checkError compares an error's type with that of as, and its text's beginning.
func checkError(t *testing.T, err error, as any, prefix string) {
	t.Helper()
	target := reflect.New(reflect.TypeOf(as))
	if !errors.As(err, target.Interface()) {
		t.Fatalf("got %T %v, want a %T", err, err, as)
	}
	if !strings.HasPrefix(err.Error(), prefix) {
		t.Errorf("got  %s\nwant %s", err, prefix)
	}
	if len(err.Error()) > 600+len(prefix) {
		t.Errorf("%d bytes of text", len(err.Error()))
	}
}
