package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/control"
)

// aManager is a manager that has answered.
func aManager(pid int, config string) running {
	return running{
		client: control.NewClient(fmt.Sprintf("/run/m%d/control", pid)), self: control.Manager{PID: pid, Config: config},
	}
}

func TestChooseManager(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, link, config := filepath.Join(dir, "a.ini"), filepath.Join(dir, "link.ini"), filepath.Join(dir, "b.ini")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.WriteFile(config, nil, 0o600), os.Symlink(file, link)); err != nil {
		t.Fatal(err)
	}
	denied := fmt.Errorf("open /run/gearman-manager: %w", fs.ErrPermission)
	for name, c := range map[string]struct {
		file   string
		all    []running
		denied error
		pid    int // that is chosen
		code   int
		want   []string
	}{
		"the only one":          {all: []running{aManager(1, file)}, pid: 1},
		"the only one, no file": {all: []running{aManager(1, "")}, pid: 1},
		"it is denied beside":   {all: []running{aManager(1, file)}, denied: denied, pid: 1},
		"by its file":           {file: file, all: []running{aManager(1, ""), aManager(2, file), aManager(3, "/b.ini")}, pid: 2},
		"by a link to it":       {file: link, all: []running{aManager(1, "/b.ini"), aManager(2, file)}, pid: 2},
		"started by a link":     {file: file, all: []running{aManager(1, "/b.ini"), aManager(2, link)}, pid: 2},
		"a file that is gone":   {file: "/gone.ini", all: []running{aManager(2, "/gone.ini")}, pid: 2},
		"none":                  {code: 3, want: []string{"no manager of this user is found", "found with -c FILE; start one: gearman-manager -c FILE"}},
		"none with the file":    {file: link, code: 3, want: []string{"no manager is found that runs with this config (" + link + "); start one: gearman-manager -c " + link}},
		"no file":               {file: "/a b.ini", code: 3, want: []string{"there is no such file (/a b.ini), and no manager is found that was started with it"}},
		"others": {
			file: config, all: []running{aManager(1, ""), aManager(2, file)}, code: 3,
			want: []string{"no manager is found that runs with this config", "process 1, no config file: --socket /run/m1/control", "process 2, " + file},
		},
		"several":               {all: []running{aManager(1, file), aManager(2, "")}, code: 2, want: []string{"2 managers run;", "process 2, no config"}},
		"several with the file": {file: file, all: []running{aManager(1, file), aManager(2, file)}, code: 2, want: []string{"2 managers run with this config"}},
		"denied":                {denied: denied, code: 3, want: []string{"permission denied: a manager answers its own user, root, and whom"}},
		"denied by the manager": {denied: &control.AnswerError{Status: 403, Message: "no"}, code: 3, want: []string{"permission denied"}},
		"silent":                {denied: context.DeadlineExceeded, code: 3, want: []string{"runs but does not answer"}},
	} {
		client, err := (&reach{file: c.file}).choose(c.all, c.denied)
		if err == nil {
			if want := fmt.Sprintf("/run/m%d/control", c.pid); client.Path() != want {
				t.Errorf("%s: chose %s, want %s", name, client.Path(), want)
			}
			continue
		}
		var stderr bytes.Buffer
		if code := report(&streams{err: &stderr}, err); code != c.code {
			t.Errorf("%s: code %d, %v, want %d", name, code, err, c.code)
		}
		for _, want := range c.want {
			if !strings.Contains(stderr.String(), want) {
				t.Errorf("%s: %q, want %q", name, stderr.String(), want)
			}
		}
	}
}

// TestDeadSockets: what a manager left that was killed is nobody.
func TestDeadSockets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "left"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(l.Close(), os.WriteFile(filepath.Join(dir, "file"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"left", "file", "none"} {
		if _, err := ask(t.Context(), filepath.Join(dir, name)); !gone(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStatusTable(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := control.Status{
		Manager: control.Manager{PID: 9, Config: "/etc/a.ini", Started: now.Add(-130 * time.Second)}, At: now, Suspects: 1, Quarantined: 2,
		Servers: []control.JobServer{{Address: "a:1", Slots: 3}, {Address: "b:1", Lost: now.Add(-90 * time.Second), Error: "refused\n\x1b[31m"}},
		Pools: []control.Pool{
			{
				Name: "resize", Kind: "plugin", Runs: true, Functions: []string{"resize"}, Slots: 2, Done: known(5, false), Failed: known(1, false), Failures: 2, NextTry: now.Add(3 * time.Second),
				Workers: []control.Worker{
					{Name: "resize/1", PID: 7, State: "ready", Ready: 1, Slots: 1, Done: known(5, false), Failed: known(1, false), Restarts: 2, Jobs: []control.Job{
						{Function: "resize", Handle: "H:\x1b]0;x\a:1", ForMS: 1500},
					}},
					{Name: "resize/2", State: "backoff", Slots: 1, Done: known(0, false), Failed: known(0, false), Jobs: []control.Job{}},
				},
			},
			{Name: "own", Kind: "standalone", Runs: true, Slots: 1, Functions: []string{"own"}, JobsUnknown: true, Workers: []control.Worker{{Name: "own/1", PID: 8, State: "ready", Ready: 1, Slots: 1}}},
			{Name: "*php", Kind: "php", Slots: 4, Functions: []string{"f", "g"}, Done: known(0, false), Failed: known(0, false), GivenUp: true, Failures: 1},
		},
	}
	const want = `process 9, up 2m10s, /etc/a.ini

POOL    KIND        SLOTS  BUSY  DONE  FAILED  STATE    FUNCTIONS
resize  plugin      1/2    1     5     1       failing  resize
own     standalone  1/1    ?     ?     ?       ready    own
*php    php         0/4    0     0     0       not run  f, g

job server b:1 cannot be reached for 1m30s: refused��[31m
resize: 2 failed starts, the next try is in 3s
*php: given up after 1 failed start; to try again: gearman-manager retry f
2 jobs in quarantine, 1 suspect: gearman-manager quarantine
`
	var out bytes.Buffer
	if err := statusTable(&out, s, ""); err != nil || out.String() != want {
		t.Errorf("%v\n%s\nwant\n%s", err, out.String(), want)
	}
	out.Reset()
	if err := statusTable(&out, control.Status{}, ""); err != nil || !strings.HasSuffix(out.String(), "\n\nno pool of workers runs\n") {
		t.Errorf("an empty fleet: %v, %q", err, out.String())
	}
}

// TestStatusNotes: what somebody may have to look at, each once.
func TestStatusNotes(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := control.Status{
		At: now,
		Pools: []control.Pool{
			{Name: "*", Shared: true, Functions: []string{"a", "b"}, Paused: []string{"a", "b"}, Runs: true, Slots: 1},
			{Name: "a", Functions: []string{"a"}, Drained: []string{"a"}, Fault: "it does not\nstart", Runs: true, Workers: []control.Worker{{Name: "a/1", PID: 7, Stopped: true}}},
			{Name: "b", Functions: []string{"b"}, Runs: true, Leaving: true},
			{Name: "c", Functions: []string{"c", "d"}, Paused: []string{"d"}, Runs: true, Outdated: 2},
		},
		Reload: control.Reload{Refused: true, Polling: "too many", Problems: []control.Problem{{File: "/a.ini", Line: 3, Severity: "error", Message: "odd"}}},
	}
	const want = `a: a change is not applied: it does not�start
a/1: process 7 is stopped by a signal, and killed soon unless it is continued
paused or drained by hand: a, b, d; to go on: gearman-manager resume FUNCTION
the config has errors, so the one before holds:
error: /a.ini:3: odd
changes are only looked for twice a minute: too many
`
	if got := statusNotes(s); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got := poolState(s.Pools[1], true); got != "drained" {
		t.Errorf("a pool that is drained: %s", got)
	}
	lost := control.Status{Servers: []control.JobServer{{Lost: now}, {Lost: now}}}
	some := control.Status{Servers: []control.JobServer{{Lost: now}, {}}}
	waits := control.Pool{Runs: true, Slots: 1}
	if noServer(control.Status{}) || noServer(some) || !noServer(lost) || poolState(waits, true) != "no server" || poolState(waits, false) != "starting" {
		t.Errorf("no server: %v, %v, %v, %s, %s", noServer(control.Status{}), noServer(some), noServer(lost), poolState(waits, true), poolState(waits, false))
	}
	var states []string
	for _, p := range s.Pools {
		states = append(states, poolState(p, false))
	}
	if got := strings.Join(states, ", "); got != "paused, drained, leaving, changing" {
		t.Errorf("states: %s", got)
	}
}

func TestPlain(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"größer ✓":        "größer ✓",
		"a\tb\nc\rd":      "a�b�c�d",
		"\x1b[2J\u009b2J": "�[2J�2J",
		"\u202egnp.exe":   "�gnp.exe",
		"\u2066x\u2028y":  "�x�y",
		"\xff\x7f":        "��",
	} {
		if got := plain(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestSilentManager: a manager that does not answer holds up nobody for long.
func TestSilentManager(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "control")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = ask(ctx, path) // the kernel has taken the connection
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%v", err)
	}
	if err := (&reach{}).explain(err); !strings.Contains(err.Error(), "a manager runs but does not answer") {
		t.Errorf("%v", err)
	}
}

// TestOtherUsers: root is told of managers of other users, and talks to none of them
// without being told to.
func TestOtherUsers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"gearman-manager-1/m12", "gearman-manager-2/m3", "gearman-manager-2/other"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	found := otherDirs([]string{filepath.Join(dir, "gearman-manager-*", "m*"), filepath.Join(dir, "none", "*")})
	if want := []string{filepath.Join(dir, "gearman-manager-1/m12"), filepath.Join(dir, "gearman-manager-2/m3")}; !slices.Equal(found, want) {
		t.Errorf("found %v, want %v", found, want)
	}
	err := &nobodyError{elsewhere: []running{aManager(7, "/srv/\x1b.ini")}}
	if got := err.Error(); !strings.HasSuffix(got, "; of other users there are:\n  process 7, /srv/�.ini: --socket /run/m7/control") {
		t.Errorf("it says %q", got)
	}
}
