package manager

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/config"
)

func TestChooseStateDir(t *testing.T) {
	t.Parallel()
	choose := func(file string, uid int, env map[string]string, dirs string) string {
		t.Helper()
		settings, problems := config.Parse(file, nil, config.Overrides{{Key: "worker_dir", Value: dirs}})
		if config.HasErrors(problems) {
			t.Fatal(problems)
		}
		dir, err := chooseStateDir(settings, uid, func(key string) string { return env[key] })
		if err != nil {
			return "error: " + err.Error()
		}
		return dir
	}
	home := map[string]string{"HOME": "/home/a"}
	for _, c := range []struct {
		file string
		uid  int
		env  map[string]string
		want string // begins with it
	}{
		{"/etc/a/config.ini", 0, home, "/var/lib/gearman-manager/config.ini-"},
		{"/etc/a/config.ini", 1, home, "/home/a/.local/state/gearman-manager/config.ini-"},
		{"/etc/a/config.ini", 0, map[string]string{"XDG_STATE_HOME": "/s"}, "/s/gearman-manager/config.ini-"},
		{"/etc/a/config.ini", 1, map[string]string{"XDG_STATE_HOME": "s", "HOME": "/h"}, "/h/.local/state/gearman-manager/config.ini-"},
		{"/etc/..a b/\n é.ini", 1, home, "/home/a/.local/state/gearman-manager/_.ini-"},
		{"/etc/" + strings.Repeat("x", 200), 1, home, "/home/a/.local/state/gearman-manager/" + strings.Repeat("x", 40) + "-"},
		{"/etc/...", 1, home, "/home/a/.local/state/gearman-manager/-"},
		{"", 1, home, "/home/a/.local/state/gearman-manager/no-config-"},
		{"/etc/a", 1, nil, "error: choose state directory: neither XDG_STATE_HOME nor HOME is set; state_dir in the config names one"},
		{"/etc/a", 1, map[string]string{"HOME": "relative"}, "error: choose state directory: neither"},
	} {
		got := choose(c.file, c.uid, c.env, "/w")
		if rest, ok := strings.CutPrefix(got, c.want); !ok || !strings.HasPrefix(c.want, "error") && len(rest) != 12 {
			t.Errorf("%q of user %d with %q: %s, want %s…", c.file, c.uid, c.env, got, c.want)
		}
	}
	seen := map[string]string{}
	one, two := t.TempDir(), t.TempDir()
	for _, c := range [][2]string{{"/a/config.ini", one}, {"/b/config.ini", one}, {"", one}, {"", one + "," + two}, {"", two}} {
		dir := choose(c[0], 1, home, c[1])
		if other, ok := seen[dir]; ok {
			t.Errorf("%q and %q share %s", c, other, dir)
		}
		seen[dir] = fmt.Sprint(c)
		if again := choose(c[0], 1, home, c[1]); again != dir {
			t.Errorf("%q: %s, then %s", c, dir, again)
		}
	}
}

func TestStateDirIsLocked(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a", "b")
	first, err := openStateDir(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	_, err = openStateDir(path)
	problem, ok := errors.AsType[*StateDirError](err)
	if want := fmt.Sprintf("use state directory %s: another manager has it, process %d", path, os.Getpid()); !ok || !problem.InUse || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("second: %v, want %s", err, want)
	}
	first.close()
	again, err := openStateDir(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, lockName), []byte("\x00nonsense of more than twenty bytes"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = openStateDir(path); err == nil || !strings.HasSuffix(err.Error(), ": another manager has it") {
		t.Errorf("with nonsense in the lock: %v", err)
	}
	again.close()
}

func TestUnsafeStateDirs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	make0 := func(name string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(path, 0o700), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	open, sticky := make0("open", 0o777), make0("sticky", 0o777|os.ModeSticky)
	cases := map[string]string{
		open:                         "others may write to it, want chmod o-w",
		sticky:                       "others may write to it, want chmod o-w",
		filepath.Join(open, "below"): "others may write to " + open + ", want chmod o-w",
	}
	if os.Geteuid() == 0 {
		other := make0("other", 0o700)
		if err := os.Chown(other, 1, -1); err != nil {
			t.Fatal(err)
		}
		cases[other] = "it belongs to user 1, want user 0"
	}
	for path, want := range cases {
		_, err := openStateDir(path)
		if problem, ok := errors.AsType[*StateDirError](err); !ok || !problem.Unsafe || problem.Problem != want {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
	good, link := make0("good", 0o755), filepath.Join(dir, "link")
	if err := os.Symlink(good, link); err != nil {
		t.Fatal(err)
	}
	d, err := openStateDir(link)
	if err != nil {
		t.Fatalf("the operator's own link: %v", err)
	}
	d.close()
	if err := os.Remove(filepath.Join(good, lockName)); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(good, lockName), 0o600); err != nil {
		t.Fatal(err)
	}
	if d, err := openStateDir(good); err == nil {
		d.close() // a lock of another kind is a lock too; it must not hang
	}
	if _, err := openStateDir(filepath.Join(dir, "good", lockName)); err == nil {
		t.Error("something that is no directory")
	}
}

// stateManager makes a manager that begins with the state in dir, and has nothing to
// run. The test stops it before it makes another one, and is not parallel: there is one
// at a time in a process.
func stateManager(t *testing.T, dir string) (*Manager, *[]Event) {
	t.Helper()
	m, events, err := tryStateManager(t, dir, false)
	if !errors.Is(err, ErrNothingToRun) {
		t.Fatal(err)
	}
	return m, events
}

func tryStateManager(t *testing.T, dir string, keep bool) (*Manager, *[]Event, error) {
	t.Helper()
	overrides := config.Overrides{{Key: "runtime_dir", Value: t.TempDir()}}
	if dir != "" {
		overrides = append(overrides, config.Override{Key: "state_dir", Value: dir})
	}
	settings, problems := config.Parse("", nil, overrides)
	if config.HasErrors(problems) {
		t.Fatal(problems)
	}
	var mu sync.Mutex
	events := &[]Event{}
	m, err := New(Config{Settings: settings, Plan: &Plan{}, KeepState: keep, Logger: zerolog.Nop(), OnEvent: func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		*events = append(*events, e)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopNow(t, m) })
	return m, events, m.Start(t.Context())
}

func stopNow(t *testing.T, m *Manager) {
	t.Helper()
	if err := m.Stop(t.Context()); err != nil && t.Context().Err() == nil {
		t.Error(err)
	}
}

func TestSuspectsSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	m, events := stateManager(t, dir)
	m.ledger.charge(aCharge("H:a:1"))
	other := aCharge("H:a:2")
	other.job.hash, other.cause = math.MaxUint64, strings.Repeat("é\x00", maxCause)
	m.ledger.charge(other)
	m.ledger.charge(other)
	m.ledger.charge(aCharge("H:a:3"))
	if _, err := m.ReleaseJob(t.Context(), "", "H:a:3"); err != nil {
		t.Fatal(err)
	}
	want := m.ledger.all()
	stopNow(t, m)
	if told := only[SuspectsRemembered](*events); len(told) != 0 {
		t.Errorf("the first one remembers %+v", told)
	}
	info, err := os.Stat(filepath.Join(dir, suspectsName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}

	m, events = stateManager(t, dir)
	got := m.ledger.all()
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(suspect{}, jobKey{})); diff != "" || len(got) != 2 {
		t.Error(diff)
	}
	if told := only[SuspectsRemembered](*events); len(told) != 1 || told[0] != (SuspectsRemembered{Suspects: 1, Quarantined: 1}) {
		t.Errorf("events %+v", *events)
	}
	if s, _ := m.ledger.charge(aCharge("H:a:1")); s.GetAttempts() != 2 || !s.GetFail() {
		t.Errorf("attempts go on: %v", s)
	}
	if list, _ := m.ledger.of([]FunctionPlan{{Name: "resize"}}); len(list) != 2 || list[0].GetJob().GetHash() != math.MaxUint64 {
		t.Errorf("workers are told %v", list)
	}
	stopNow(t, m)
	m, _ = stateManager(t, dir)
	m.ReleaseAllJobs(t.Context())
	stopNow(t, m)
	m, _ = stateManager(t, dir)
	if len(m.Quarantine()) != 0 {
		t.Errorf("after all were released: %+v", m.Quarantine())
	}
}

func TestOldSuspectsAreNotRemembered(t *testing.T) {
	t.Parallel()
	l, now := newLedger(10), time.Now()
	l.restore([]suspect{
		{key: jobKey{handle: "old"}, first: now, last: now.Add(-suspectFor)},
		{key: jobKey{handle: "bad"}, fail: true, last: now.Add(-suspectFor)},
		{key: jobKey{handle: "future"}, last: now.Add(1000 * time.Hour)},
	})
	all := l.all()
	if len(all) != 2 || all[0].key.handle != "bad" || all[1].last.After(time.Now()) {
		t.Errorf("remembered %+v", all)
	}
}

// A job that was charged before the clock was set back, and after it, is still one that
// the next manager reads.
func TestSuspectsOutliveAClockThatIsSetBack(t *testing.T) {
	t.Parallel()
	l := newLedger(10)
	clock := time.Now().Round(0)
	l.now = func() time.Time { return clock }
	l.charge(aCharge("H:a:1"))
	clock = clock.Add(-time.Hour)
	l.charge(aCharge("H:a:1"))
	data, err := encodeSuspects(l.all())
	if err != nil {
		t.Fatal(err)
	}
	known, err := decodeSuspects(data)
	if err != nil || len(known) != 1 || known[0].attempts != 2 || !known[0].last.Equal(clock) {
		t.Errorf("read %+v, %v", known, err)
	}
}

func TestStateOfOthersIsSetAside(t *testing.T) {
	entry := func(with string) string {
		return `{"version": 1, "suspects": [{"server": "s:1", "handle": "h", "hash": "7", "function": "f", "first": "2026-01-02T03:04:05Z", "last": "2026-01-02T03:04:05Z"` + with + `}]}`
	}
	for name, content := range map[string]string{
		"empty":              "",
		"half":               entry("")[:50],
		"no JSON":            "\x00\xff\x01",
		"another version":    `{"version": 2, "suspects": []}`,
		"no version":         `{"suspects": []}`,
		"no object":          `[1, 2]`,
		"hash":               entry(`, "hash": "xyz"`),
		"large hash":         entry(`, "hash": "10000000000000000"`),
		"empty handle":       entry(`, "handle": ""`),
		"no times":           entry(`, "first": "0001-01-01T00:00:00Z"`),
		"times in reverse":   entry(`, "last": "2025-01-02T03:04:05Z"`),
		"negative attempts":  entry(`, "attempts": -1`),
		"enormous attempts":  entry(`, "attempts": 1e300`),
		"long unique":        entry(`, "unique": "` + strings.Repeat("u", maxField+1) + `"`),
		"too many":           `{"version": 1, "suspects": [` + strings.Repeat("{},", maxSuspects) + `{}]}`,
		"deep":               strings.Repeat("[", 100_000),
		"text behind":        entry("") + "x",
		"another type":       `{"version": "1"}`,
		"numbers for a name": entry(`, "server": 5`),
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, suspectsName), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		m, events := stateManager(t, dir)
		aside := only[StateSetAside](*events)
		if len(aside) != 1 || aside[0].Err == nil || aside[0].File != filepath.Join(dir, suspectsName+".bad") || len(m.ledger.all()) != 0 {
			t.Fatalf("%s: events %+v, list %v", name, aside, m.ledger.all())
		}
		m.ledger.charge(aCharge("new"))
		stopNow(t, m)
		kept, err := os.ReadFile(aside[0].File)
		if err != nil || string(kept) != content {
			t.Errorf("%s: kept %q, %v", name, kept, err)
		}
		m, events = stateManager(t, dir)
		if len(m.ledger.all()) != 1 || len(only[StateSetAside](*events)) != 0 {
			t.Errorf("%s: afterwards %v, events %+v", name, m.ledger.all(), *events)
		}
		stopNow(t, m)
	}
	good := t.TempDir()
	if err := os.WriteFile(filepath.Join(good, suspectsName), []byte(entry(`, "later": "fields"`)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, events := stateManager(t, good); len(only[StateSetAside](*events)) != 0 {
		t.Errorf("a good one: %+v", *events)
	}
}

// TestStateThatIsNoFile: nothing hangs, nothing is followed, nothing is read for
// ever.
func TestStateThatIsNoFile(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"fifo":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"directory": func(path string) error { return os.MkdirAll(filepath.Join(path, "x"), 0o700) },
		"link":      func(path string) error { return os.Symlink("/dev/zero", path) },
		"enormous": func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 1<<40))
		},
	} {
		dir := t.TempDir()
		if err := put(filepath.Join(dir, suspectsName)); err != nil {
			t.Fatal(err)
		}
		m, events := stateManager(t, dir)
		if aside := only[StateSetAside](*events); len(aside) != 1 {
			t.Errorf("%s: events %+v", name, *events)
		}
		m.ledger.charge(aCharge("new"))
		stopNow(t, m)
		m, _ = stateManager(t, dir)
		if len(m.ledger.all()) != 1 {
			t.Errorf("%s: afterwards %v", name, m.ledger.all())
		}
		stopNow(t, m)
	}
}

func TestStateDirOfAnotherManager(t *testing.T) {
	dir := t.TempDir()
	named := mustOpen(t, dir)
	defer named.close()
	m, _, err := tryStateManager(t, dir, true)
	if problem, ok := errors.AsType[*StateDirError](err); !ok || !problem.InUse {
		t.Errorf("one that was named: %v", err)
	}
	stopNow(t, m)
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	m, events, _ := tryStateManager(t, "", true)
	if lost := only[StateNotKept](*events); len(lost) != 0 || m.keeper == nil {
		t.Errorf("the first with one that is chosen: %+v", lost)
		return
	}
	path := m.keeper.dir.path
	stopNow(t, m)
	chosen := mustOpen(t, path)
	defer chosen.close()
	m, events, err = tryStateManager(t, "", true)
	if problem, ok := errors.AsType[*StateDirError](err); !ok || !problem.InUse || len(*events) > 1 {
		t.Errorf("the second: %v, %+v", err, *events)
	}
	stopNow(t, m)
	if left, err := filepath.Glob(filepath.Join(os.Getenv("XDG_STATE_HOME"), "*", "*", suspectsName)); err != nil || len(left) != 0 {
		t.Errorf("it wrote %q, %v", left, err)
	}
	t.Setenv("XDG_STATE_HOME", "/dev/null/no")
	for _, c := range []struct {
		dir  string
		keep bool
		want int
	}{{"", true, 1}, {"", false, 0}, {"/dev/null/no", false, 1}} {
		m, events, err := tryStateManager(t, c.dir, c.keep)
		if n := len(only[StateNotKept](*events)); !errors.Is(err, ErrNothingToRun) || n != c.want {
			t.Errorf("%+v: %v, told %d times", c, err, n)
		}
		stopNow(t, m)
	}
}

// TestStateIsWrittenSeldom: at once, then at most once a second, and when it ends.
func TestStateIsWrittenSeldom(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l, dir := newLedger(10), mustOpen(t, path)
		k := newKeeper(dir, l, newControls(), func(e Event) { t.Errorf("event %+v", e) })
		defer func() {
			l.charge(aCharge("4"))
			k.close()
			want(t, path, 4)
		}()
		synctest.Wait()
		if _, err := os.Stat(filepath.Join(path, suspectsName)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("written before there was a change: %v", err)
		}
		l.charge(aCharge("1"))
		synctest.Wait()
		want(t, path, 1)
		l.charge(aCharge("2"))
		l.charge(aCharge("3"))
		pass(saveEvery - 1)
		want(t, path, 1)
		pass(1)
		want(t, path, 3)
		if info, err := os.Stat(filepath.Join(path, suspectsName)); err == nil {
			defer func(was os.FileInfo) {
				pass(time.Hour)
				if info, err := os.Stat(filepath.Join(path, suspectsName)); err != nil || !os.SameFile(was, info) {
					t.Errorf("written without a change: %v", err)
				}
			}(info)
		}
	})
}

func mustOpen(t *testing.T, path string) *stateDir {
	t.Helper()
	dir, err := openStateDir(path)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// want says how many suspects the file is to have.
func want(t *testing.T, path string, n int) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path, suspectsName))
	if err != nil {
		t.Error(err)
		return
	}
	if list, err := decodeSuspects(data); err != nil || len(list) != n {
		t.Errorf("%d suspects on disk, %v, want %d", len(list), err, n)
	}
}

// TestStateThatCannotBeWritten: it is said once, tried again, and said to be over.
func TestStateThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	inTheWay := filepath.Join(path, suspectsName+".new")
	if err := os.MkdirAll(filepath.Join(inTheWay, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var events []Event
		l := newLedger(10)
		k := newKeeper(mustOpen(t, path), l, newControls(), func(e Event) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, e)
		})
		told := func() []Event {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(events)
		}
		for i := range 5 {
			l.charge(aCharge(fmt.Sprint(i)))
			pass(saveAgain)
		}
		if len(told()) != 1 || len(only[StateNotKept](told())) != 1 {
			t.Errorf("events %+v", told())
		}
		if err := os.RemoveAll(inTheWay); err != nil {
			t.Error(err)
		}
		pass(saveAgain)
		want(t, path, 5)
		if len(told()) != 2 || len(only[StateKept](told())) != 1 {
			t.Errorf("events %+v", told())
		}
		k.close()
	})
}

// TestStateUnderFire: charges, releases and lists from everywhere while it is
// written, and what is on disk in the end is what is known.
func TestStateUnderFire(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	l := newLedger(50)
	k := newKeeper(mustOpen(t, path), l, newControls(), func(e Event) { t.Errorf("event %+v", e) })
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			for i := range 100 {
				l.charge(aCharge(fmt.Sprintf("%d.%d", n, i)))
				known := uint64(i)
				_ = l.since(known, []FunctionPlan{{Name: "resize"}})
				if i%7 == 0 {
					l.release(func(s *suspect) bool { return s.key.handle == fmt.Sprintf("%d.%d", n, i) })
				}
				_ = l.all()
			}
		})
	}
	all.Wait()
	k.close()
	want(t, path, len(l.all()))
}
