package main

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// All that is measured for the reload table is printed, and all that is printed is
// measured.
func TestReloadStepsAndRowsAgree(t *testing.T) {
	t.Parallel()
	measured := map[key]bool{}
	add := func(s step, quantities ...quantity) {
		for _, q := range quantities {
			measured[key{quantity: q, workers: s.plan.workers}] = true
		}
	}
	for _, s := range reloadSteps() {
		switch {
		case strings.HasPrefix(s.name, "new code, "):
			for _, told := range ways(s.plan.workers) {
				d := deployment{busy: strings.HasSuffix(s.name, workersAre(true)), told: told}
				add(s, d.quantity(firstAnswer), d.quantity(lastReplaced), d.quantity(leastPresent))
			}
		case s.name == "more workers":
			add(s, resizedAfter)
		case s.name == "status":
			add(s, statusCommand, workersCommand, statusCall, statusCall99)
		default:
			add(s, watchingWakeups, blindWakeups, watchingTime, blindTime)
		}
	}
	printed := map[key]bool{}
	for _, row := range reloadRows() {
		if row != nil {
			printed[row.key] = true
		}
	}
	if diff := cmp.Diff(measured, printed, cmp.AllowUnexported(key{})); diff != "" {
		t.Errorf("rows (-measured +printed):\n%s", diff)
	}
}

// The peer leaves out what has no ratio, and one run with a worker too few is a miss.
func TestReloadCells(t *testing.T) {
	t.Parallel()
	all, err := choose(contenders(), "", "reload")
	if err != nil {
		t.Fatal(err)
	}
	first := deployment{}.quantity(firstAnswer)
	least := deployment{}.quantity(leastPresent)
	r := results{}
	for contender, figures := range map[string][3]float64{"re-plugin": {400, 500, 4}, "re-php": {300, 300, 3}, peer: {100, 50, 0}} {
		r[key{contender, first, reloadWorkers, 0}] = figures[:2]
		r[key{contender, least, reloadWorkers, 0}] = sample{4, figures[2], 4}
	}
	var got [][]string
	for _, row := range deployRows(reloadWorkers, false)[:3] {
		got = append(got, row.cells(all, r)[1:])
	}
	want := [][]string{
		{"450 (400–500)", "7.00 (4.00–10.00)", "300 (300–300)", "4.50 (3.00–6.00)", "75 (50–100)", ""},
		{"", "", "", "", "", ""},
		{"4 (4–4)", "", "4 (3–4)", "", "4 (0–4)", "Go plugin ≥ 4 met, PHP worker ≥ 4 missed"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
	var out strings.Builder
	if err := writeReload(&out, all, r); err != nil || !strings.Contains(out.String(), "stopped and started") {
		t.Errorf("table: %v\n%s", err, &out)
	}
	if err := writeReload(&out, nil, r); err != nil {
		t.Error(err)
	}
}

// The fork manager is changed by a restart: new code answers, the old workers go, and
// for a moment there is none.
func TestDeploy(t *testing.T) {
	t.Parallel()
	runtime.LockOSThread()
	w, s := forked(t)
	c := contender{
		id: "re-fork", name: "fork", job: editionJob(), managed: true, restarted: true, file: "edition.php",
		commands: forkCommand("re-fork"),
	}
	if err := buildForkEditions(c.id)(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	const workers = 2
	for _, busy := range []bool{false, true} {
		if err := w.place(c, editions()[0]); err != nil {
			t.Fatal(err)
		}
		f, err := startFleet(t.Context(), c, w, s, plan{workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		d := deployment{before: editions()[0], edition: editions()[1], busy: busy}
		r, err := f.deploy(t.Context(), w, d, func(ctx context.Context) error { return f.restart(ctx, w) })
		if err != nil {
			t.Fatal(err)
		}
		if r.first <= 0 || r.last < r.first || r.least >= workers || busy && r.first < busyJob {
			t.Errorf("busy = %t: %+v", busy, r)
		}
		b := &bench{workshop: w, results: results{}}
		if err := resize(t.Context(), b, f); err != nil {
			t.Fatal(err)
		}
		if got := b.results[key{c.id, resizedAfter, workers, 0}]; len(got) != 1 || got[0] <= 0 {
			t.Errorf("time to more workers: %v", b.results)
		}
		if err := f.stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// An answer of neither edition is a wrong one.
func TestAnswered(t *testing.T) {
	t.Parallel()
	c := &calls{seen: make(chan struct{})}
	d := deployment{before: "first", edition: "second"}
	if !c.answered(d, "first") || c.answered(d, "third") || !c.at.IsZero() {
		t.Error("taken for the new edition, or not for the old one")
	}
	if !c.answered(d, "second") {
		t.Error("not taken for the new edition")
	}
	at := c.at
	if c.answered(d, "second"); at.IsZero() || c.at != at {
		t.Errorf("first answer at %v, then %v", at, c.at)
	}
	<-c.seen
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	var hundred sample
	for i := range 100 {
		hundred = append(hundred, float64(100-i))
	}
	for percent, want := range map[int]float64{1: 1, 50: 50, 99: 99, 100: 100} {
		if got := hundred.percentile(percent); got != want {
			t.Errorf("%d%% of 1 to 100: %v", percent, got)
		}
	}
	if got := (sample{7}).percentile(99); got != 7 {
		t.Errorf("99%% of one: %v", got)
	}
}

func TestEditCount(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "manager.ini")
	before := managerConfig("s", "/w", "/h", "", "[edition]\n", plan{workers: 4})
	if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := editCount(file, file+".new", 4, 50); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file + ".new")
	want := managerConfig("s", "/w", "/h", "", "[edition]\n", plan{workers: 50})
	if diff := cmp.Diff(want, string(got)); err != nil || diff != "" {
		t.Errorf("config: %v (-want +got):\n%s", err, diff)
	}
}

// Calls that fail end the wait for the new code.
func TestAwaitCalls(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c := &calls{cancel: cancel, seen: make(chan struct{}), ended: make(chan error, 1)}
	c.ended <- errWrongAnswer
	if err := c.await(ctx); err == nil || !strings.Contains(err.Error(), errWrongAnswer.Error()) {
		t.Errorf("await: %v", err)
	}
	if err := c.stop(); err != nil {
		t.Error(err)
	}
}
