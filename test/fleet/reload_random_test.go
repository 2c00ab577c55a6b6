package fleet

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/manager"
)

// TestRandomEdits edits config and programs at random, and looks after each pause that
// the fleet is what a fresh manager would run. GM_EDITS is the number of edits, GM_SEED
// repeats a run.
func TestRandomEdits(t *testing.T) {
	t.Parallel()
	edits, seed := numberOf(t, "GM_EDITS", 60), uint64(numberOf(t, "GM_SEED", int(time.Now().UnixNano()&0xffffff)))
	t.Logf("GM_SEED=%d GM_EDITS=%d", seed, edits)
	f := newReload(t)
	m := newFleetModel(f, seed)
	m.writeConfig()
	f.text = m.holds
	f.startAgain()
	m.compare("the start")
	var slowest time.Duration
	for done := 0; done < edits && !t.Failed(); {
		burst := m.burst(1+m.rand.IntN(8), func() { pauseAtRandom(t, m.rand.IntN(200)) })
		done += len(burst)
		began := time.Now()
		m.compare(strings.Join(burst, "; "))
		slowest = max(slowest, time.Since(began))
	}
	for _, e := range f.m.crashes() {
		t.Errorf("%s: %s", e.Name, e.Text)
	}
	t.Logf("the fleet was as wanted %v after a burst at the latest", slowest)
	f.stopServed()
}

// numberOf is the number in a variable of the environment.
func numberOf(tb testing.TB, name string, without int) int {
	tb.Helper()
	text := os.Getenv(name)
	if text == "" {
		return without
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// pauseAtRandom lets some milliseconds pass between two edits.
func pauseAtRandom(tb testing.TB, ms int) {
	tb.Helper()
	select {
	case <-time.After(time.Duration(ms) * time.Millisecond):
	case <-tb.Context().Done():
	}
}

// compare waits until the fleet is what the model says, and has each function do a job.
func (m *fleetModel) compare(after string) {
	t := m.f.tb
	t.Helper()
	plan, shadow := m.plan()
	want, wantPlan := wantPools(plan), m.withoutPlaces(plan, shadow)
	current := filepath.Join(m.f.dir, "releases", fmt.Sprint(m.deploys))
	began := time.Now()
	for {
		s, running := m.f.m.snapshot(), m.withoutPlaces(m.f.m.must(order{Do: "plan"}).Plan, current)
		got := gotPools(s)
		if cmp.Equal(want, got) && cmp.Equal(wantPlan, running) && s.Reload.Refused == m.broken {
			break
		}
		if time.Since(began) > testutil.Patience {
			t.Fatalf("after %s: the fleet is not what a fresh one would be (-want +got), refused %v (want %v), problems %s:\n%s%s\nconfig:\n%s",
				after, s.Reload.Refused, m.broken, problemText(s.Reload.Problems), cmp.Diff(want, got), cmp.Diff(wantPlan, running), m.holds)
		}
		pauseAtRandom(t, 20)
	}
	t.Logf("%v after: %s", time.Since(began).Round(time.Millisecond), after)
	m.wantAnswers(plan, after)
	report := m.f.m.must(order{Do: "reload", Reload: manager.ReloadRequest{Config: true, Code: true}}).Report
	if len(report.Changes) > 0 {
		t.Errorf("after %s: one more reload still changes %+v", after, report.Changes)
	}
	for file, version := range m.programs {
		text := problemText(report.Problems)
		shown := strings.Contains(text, "/"+file+" ") || strings.Contains(text, "/"+file+":")
		if included := !m.excluded[functionOf(file)]; included && shown != (version == brokenRelease) {
			t.Errorf("after %s: %s is %s, and the problems are %s", after, file, version, text)
		}
	}
}

// withoutPlaces is a plan whose programs lie in no particular directory, if they lie in
// dir. Pools without slots are left out.
func (m *fleetModel) withoutPlaces(plan *manager.Plan, dir string) (pools []manager.PoolPlan) {
	place := func(path string) string {
		file := filepath.Base(path)
		if filepath.Dir(path) == dir || m.programs[file] == brokenRelease { // which runs from where it was
			return file
		}
		return path
	}
	for _, p := range plan.Pools {
		if p.Slots == 0 {
			continue
		}
		p.Program, p.Named, p.Run, p.Origin = place(p.Program), filepath.Base(p.Named), "", ""
		p.Fault = "" // the problems of a reload show it
		p.Functions = slices.Clone(p.Functions)
		for i := range p.Functions {
			function := &p.Functions[i]
			function.Program, function.Command = place(function.Program), nil
		}
		pools = append(pools, p)
	}
	return pools
}

// wantAnswers has each function do a job, and compares the version that did it.
func (m *fleetModel) wantAnswers(plan *manager.Plan, after string) {
	t := m.f.tb
	t.Helper()
	versions := map[string]string{"base": "v0"}
	for file, version := range m.runs {
		versions[functionOf(file)] = version
	}
	for _, pool := range plan.Pools {
		for _, function := range pool.Functions {
			want := versions[function.Name]
			if function.Name == "ca" {
				want = strings.TrimPrefix(filepath.Base(function.Program), "command-")
			}
			if pool.Slots == 0 {
				continue
			}
			got, err := m.f.do(function.Name, "any 0 "+m.f.runs)
			if err != nil || !strings.HasPrefix(got, "any "+want+" ") {
				t.Errorf("after %s: %s answered %q, %v, want %s", after, function.Name, got, err, want)
			}
		}
	}
}

// wantPools describes the pools of a plan.
func wantPools(plan *manager.Plan) map[string]string {
	want := map[string]string{}
	for _, p := range plan.Pools {
		var functions []string
		for _, function := range p.Functions {
			functions = append(functions, function.Name)
		}
		if p.Slots > 0 {
			want[p.Name] = fmt.Sprintf("%s of %v: %d slots, %d workers, all ready", p.Kind, functions, p.Slots, p.Workers)
		}
	}
	return want
}

// gotPools describes those of a snapshot.
func gotPools(s manager.Snapshot) map[string]string {
	got := map[string]string{}
	for _, p := range s.Pools {
		workers, state := 0, "all ready"
		ready := 0
		for _, w := range p.Workers {
			if w.State == manager.StateStandby {
				continue
			}
			workers++
			ready += w.Ready
			if w.State != manager.StateReady || w.Outdated {
				state = fmt.Sprintf("%s is %s, outdated: %v", w.Name, w.State, w.Outdated)
			}
		}
		switch {
		case p.Leaving || p.Outdated > 0:
			state = fmt.Sprintf("leaving: %v, outdated: %d", p.Leaving, p.Outdated)
		case ready != p.Slots:
			state = fmt.Sprintf("%d slots ready", ready)
		}
		if p.Slots > 0 || workers > 0 {
			got[p.Name] = fmt.Sprintf("%s of %v: %d slots, %d workers, %s", p.Kind, p.Functions, p.Slots, workers, state)
		}
	}
	return got
}
