package manager

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestControls(t *testing.T) {
	t.Parallel()
	c := newControls()
	dirty := func(want bool, what string) {
		t.Helper()
		select {
		case <-c.changed:
			if !want {
				t.Errorf("%s is said to change something", what)
			}
		default:
			if want {
				t.Errorf("%s is not said to change something", what)
			}
		}
	}
	if !c.setScales(map[string]int{"b": 3, "*": 0}) || !c.setScales(map[string]int{"b": 4, "a": 1}) {
		t.Error("no room")
	}
	dirty(true, "scales")
	got := c.scales()
	if diff := cmp.Diff(map[string]int{"a": 1, "b": 4, "*": 0}, got); diff != "" {
		t.Error(diff)
	}
	got["c"] = 5
	if len(c.scales()) != 3 {
		t.Error("what it returns is its own")
	}
	if !c.setPaused("p") || !c.setDrained("d") || !c.setPaused("both") || !c.setDrained("both") {
		t.Error("no room")
	}
	dirty(true, "a pause")
	c.setPaused("p")
	dirty(false, "a second pause")
	for function, want := range map[string][2]bool{"p": {true, false}, "d": {false, true}, "both": {true, true}, "x": {}} {
		if paused, drained := c.hold(function); [2]bool{paused, drained} != want {
			t.Errorf("%s: %v, %v", function, paused, drained)
		}
	}
	if diff := cmp.Diff([][]string{{"both", "p"}, {"both", "d"}}, [][]string{c.paused(), c.drained()}); diff != "" {
		t.Error(diff)
	}
	if paused, drained := c.release("both"); !paused || !drained {
		t.Error("released nothing")
	}
	dirty(true, "a release")
	if paused, drained := c.release("both"); paused || drained {
		t.Error("released twice")
	}
	dirty(false, "a release of nothing")
	if diff := cmp.Diff([]string{"*", "a", "b"}, c.clearScales()); diff != "" || len(c.scales()) != 0 {
		t.Error(diff)
	}
	dirty(true, "clearing")
	c.clearScales()
	dirty(false, "clearing nothing")
}

func TestControlsAreBounded(t *testing.T) {
	t.Parallel()
	c := newControls()
	many := map[string]int{}
	for i := range maxControls {
		many[fmt.Sprint(i)] = 1
		c.setPaused(fmt.Sprint(i))
	}
	if !c.setScales(many) || c.setScales(map[string]int{"more": 1}) || c.setPaused("more") || c.setDrained("more") {
		t.Error("its bounds are others")
	}
	if len(c.scales()) != maxControls || len(c.paused()) != maxControls || !c.setDrained("1") {
		t.Error("it has lost something")
	}
	data, err := c.encode()
	if err != nil || len(data) > maxStateFile {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if _, err := decodeControls(data); err != nil {
		t.Errorf("what it has written: %v", err)
	}
}

// TestControlsBelongToAConfig: numbers of slots hold until the config changes, pauses
// until they are ended.
func TestControlsBelongToAConfig(t *testing.T) {
	t.Parallel()
	c := newControls()
	c.setScales(map[string]int{"a": 1})
	c.setPaused("p")
	if gone := c.belong("one"); gone != nil {
		t.Errorf("the first config: %q are gone", gone)
	}
	data, err := c.encode()
	if err != nil {
		t.Fatal(err)
	}
	later := newControls()
	if _, err := later.load(data); err != nil {
		t.Fatal(err)
	}
	if gone := later.belong("one"); gone != nil || later.scales()["a"] != 1 {
		t.Errorf("the same config: %q are gone", gone)
	}
	if gone := later.belong("two"); !cmp.Equal(gone, []string{"a"}) || len(later.scales()) != 0 {
		t.Errorf("another config: %q are gone", gone)
	}
	if paused, _ := later.hold("p"); !paused {
		t.Error("the pause is gone")
	}
}

func TestDecodeControls(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		``:                  "EOF",
		`[]`:                "cannot unmarshal",
		`{`:                 "EOF",
		`{}`:                "it has version 0, want 1",
		`{"version": 2}`:    "it has version 2, want 1",
		`{"version": 1}`:    "",
		`{"version": 1} {}`: "there is more behind it",
		`{"version": 1, "scales": [{"name": "a", "slots": 0}], "paused": ["a"], "drained": ["a"]}`: "",
		`{"version": 1, "scales": [{"name": "a", "slots": -1}]}`:                                   `"a" has -1 slots, want 0 to 100000`,
		`{"version": 1, "scales": [{"name": "a", "slots": 100001}]}`:                               "slots",
		`{"version": 1, "scales": [{"name": "a", "slots": 1e99}]}`:                                 "cannot unmarshal",
		`{"version": 1, "scales": [{"name": "a"}, {"name": "a"}]}`:                                 `"a" is there twice`,
		`{"version": 1, "paused": [""]}`:                                                           "a name is 0 bytes long",
		`{"version": 1, "drained": ["` + strings.Repeat("x", 1001) + `"]}`:                         "a name is 1001 bytes long, want 1 to 1000",
		`{"version": 1, "paused": [` + strings.Repeat(`"x",`, maxControls) + `"x"]}`:               "it has 10001 names in a list, want at most 10000",
		`{"version": 1, "config": "` + strings.Repeat("x", 1001) + `"}`:                            "the hash of the config is 1001 bytes long",
	} {
		_, err := decodeControls([]byte(text))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.100s: %v, want %q", text, err, want)
		}
	}
}

// TestControlsSurvive: what was set is there again with the next keeper, which says so
// once. A file that makes no sense is set aside, and the other one used.
func TestControlsSurvive(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	c, l := newControls(), newLedger(10)
	k := newKeeper(mustOpen(t, path), l, c, func(e Event) { t.Errorf("event %+v", e) })
	c.setScales(map[string]int{"a": 7})
	c.setPaused("p")
	c.setDrained("d")
	l.charge(aCharge("1"))
	k.close()
	reopen := func() (*controls, *ledger, []Event) {
		c, l := newControls(), newLedger(10)
		var mu sync.Mutex
		var events []Event
		newKeeper(mustOpen(t, path), l, c, func(e Event) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, e)
		}).close()
		return c, l, events
	}
	c, l, events := reopen()
	want := []Event{SuspectsRemembered{Suspects: 1}, ControlsRemembered{Scaled: map[string]int{"a": 7}, Paused: []string{"p"}, Drained: []string{"d"}}}
	if diff := cmp.Diff(want, events); diff != "" || len(l.all()) != 1 || c.scales()["a"] != 7 {
		t.Error(diff)
	}
	if err := os.WriteFile(filepath.Join(path, controlsName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, l, events = reopen()
	aside, ok := events[len(events)-1].(StateSetAside)
	if len(events) != 2 || !ok || aside.File != filepath.Join(path, controlsName+".bad") || len(l.all()) != 1 || len(c.scales()) != 0 {
		t.Errorf("with nonsense: %+v", events)
	}
	if _, _, events = reopen(); len(events) != 1 {
		t.Errorf("afterwards: %+v", events)
	}
}

// TestControlsAtTheSameTime is for the race detector.
func TestControlsAtTheSameTime(t *testing.T) {
	t.Parallel()
	c := newControls()
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := range 100 {
				name := fmt.Sprint(i, n%7)
				c.setScales(map[string]int{name: n})
				c.setPaused(name)
				c.hold(name)
				c.scales()
				c.paused()
				c.release(name)
				if _, err := c.encode(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if len(c.paused()) != 0 || len(c.scales()) != 28 {
		t.Errorf("%v, %v", c.paused(), c.scales())
	}
}

// FuzzDecodeControls: whatever is in the file, it is refused or means the same when it
// is written again.
func FuzzDecodeControls(f *testing.F) {
	f.Add([]byte(`{"version": 1, "config": "x", "scales": [{"name": "a", "slots": 3}], "paused": ["p"], "drained": ["p"]}`))
	f.Add([]byte(`{"version": 1, "paused": ["\ud800", "\u0000"]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		one := newControls()
		if _, err := one.load(data); err != nil {
			return
		}
		written, err := one.encode()
		if err != nil {
			t.Fatal(err)
		}
		two := newControls()
		if _, err := two.load(written); err != nil {
			t.Fatalf("it was written and cannot be read: %v", err)
		}
		if again, err := two.encode(); err != nil || string(again) != string(written) {
			t.Fatalf("%v\n%s\n%s", err, written, again)
		}
	})
}
