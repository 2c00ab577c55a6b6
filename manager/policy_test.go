package manager

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/config"
)

func TestTransitions(t *testing.T) {
	t.Parallel()
	// Every state with every trigger; what is not listed changes nothing.
	want := map[State]map[trigger]State{
		StateStarting: {triggerHello: StateStandby, triggerDrain: StateDraining, triggerExit: StateExited},
		StateStandby:  {triggerSeat: StateReady, triggerDrain: StateDraining, triggerExit: StateExited},
		StateReady:    {triggerDrain: StateDraining, triggerExit: StateExited},
		StateDraining: {triggerExit: StateExited},
	}
	for _, s := range []State{StateStarting, StateStandby, StateReady, StateDraining, StateExited, StateBackoff, StateFailed} {
		for _, tr := range []trigger{triggerHello, triggerSeat, triggerDrain, triggerExit} {
			next, listed := want[s][tr]
			if !listed {
				next = s
			}
			if got, ok := s.next(tr); got != next || ok != listed {
				t.Errorf("%s, %s: got %s, %v, want %s, %v", s, tr, got, ok, next, listed)
			}
		}
	}
}

func TestBackoffDelay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		failures int
		random   float64
		want     time.Duration
	}{
		{0, 0.5, 0},
		{-1, 0.5, 0},
		{1, 0, 50 * time.Millisecond},
		{1, 1, 100 * time.Millisecond},
		{2, 0.5, 150 * time.Millisecond},
		{5, 1, 1600 * time.Millisecond},
		{9, 1, 25600 * time.Millisecond},
		{10, 1, 30 * time.Second},
		{10, 0, 15 * time.Second},
		{1 << 40, 1, 30 * time.Second},
	} {
		if got := backoffDelay(c.failures, c.random); got != c.want {
			t.Errorf("%d failures, %v: %v, want %v", c.failures, c.random, got, c.want)
		}
	}
}

func TestFailedStart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		exit exitFacts
		want bool
	}{
		"before it was ready":      {exitFacts{}, true},
		"soon after":               {exitFacts{ready: true, uptime: 999 * time.Millisecond, least: time.Second}, true},
		"later":                    {exitFacts{ready: true, uptime: time.Second, least: time.Second}, false},
		"soon, but it did a job":   {exitFacts{ready: true, hadJob: true, least: time.Second}, false},
		"soon, with a job in hand": {exitFacts{ready: true, jobs: 1, least: time.Second}, false},
		"soon, as planned":         {exitFacts{ready: true, planned: true, least: time.Second}, false},
		"killed by the manager":    {exitFacts{killed: killUnresponsive}, false},
	} {
		if got := failedStart(c.exit); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestCharges(t *testing.T) {
	t.Parallel()
	reissue := FunctionPlan{Name: "resize", OnCrash: config.Reissue, OnTimeout: config.Reissue, Timeout: 3 * time.Second}
	fail := FunctionPlan{Name: "resize", OnCrash: config.Fail, OnTimeout: config.Fail, Timeout: 3 * time.Second}
	job := func(handle string, f FunctionPlan) handJob {
		return handJob{job: jobKey{handle: handle}, function: f}
	}
	late := func(j handJob) handJob { j.overdue = true; return j }
	told := func(j handJob) handJob { j.charged = true; return j }
	type result struct {
		Handle        string
		Attempt, Fail bool
		Cause         string
	}
	const died, over = "it died", "it ran longer than its timeout of 3s"
	for name, c := range map[string]struct {
		jobs    []handJob
		killed  killReason
		retired string
		want    []result
	}{
		"idle":                       {},
		"crash":                      {jobs: []handJob{job("1", reissue)}, want: []result{{"1", true, false, died}}},
		"crash, on_crash = fail":     {jobs: []handJob{job("1", fail)}, want: []result{{"1", true, true, died}}},
		"crash, charged before":      {jobs: []handJob{told(job("1", reissue))}},
		"crash with several":         {jobs: []handJob{job("1", fail), job("2", reissue)}, want: []result{{"1", false, false, died}, {"2", false, false, died}}},
		"unresponsive":               {jobs: []handJob{job("1", reissue)}, killed: killUnresponsive, want: []result{{"1", true, false, died}}},
		"grace over":                 {jobs: []handJob{job("1", reissue)}, killed: killGrace},
		"stop":                       {jobs: []handJob{job("1", reissue)}, killed: killStop},
		"killed, reissue":            {jobs: []handJob{late(job("1", reissue)), job("2", reissue)}, killed: killTimeout, want: []result{{"1", true, false, over}}},
		"killed, fail, told before":  {jobs: []handJob{told(late(job("1", fail)))}, killed: killTimeout},
		"killed, fail, not yet told": {jobs: []handJob{late(job("1", fail))}, killed: killTimeout, want: []result{{"1", false, true, over}}},
		"left, reissue":              {jobs: []handJob{late(job("1", reissue))}, retired: retireTimeout, want: []result{{"1", true, false, over}}},
		"crash while it retires":     {jobs: []handJob{job("1", reissue)}, retired: "max_runs", want: []result{{"1", true, false, died}}},
	} {
		var got []result
		for _, ch := range charges(c.jobs, c.killed, c.retired, died) {
			got = append(got, result{ch.job.handle, ch.attempt, ch.fail, ch.cause})
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestLedger(t *testing.T) {
	t.Parallel()
	l := newLedger(3)
	f := FunctionPlan{Name: "resize", JobAttempts: 2}
	c := charge{job: jobKey{"s:1", "H:a:1", 7}, function: f, attempt: true, cause: "it died"}
	if s, _ := l.charge(c); s.GetAttempts() != 1 || s.GetFail() || s.GetCause() != "it died" {
		t.Errorf("first attempt: %v", s)
	}
	if s, _ := l.charge(c); s.GetAttempts() != 2 || !s.GetFail() || s.GetCause() != "given up after 2 of 2 attempts: it died" {
		t.Errorf("last attempt: %v", s)
	}
	other := c
	other.job.hash = 8 // the same handle from a job server that was restarted
	other.function.JobAttempts = 0
	for range 10 {
		if s, _ := l.charge(other); s.GetFail() {
			t.Errorf("no limit: %v", s)
		}
	}
	if list, _ := l.of([]FunctionPlan{{Name: "resize"}}); len(list) != 2 {
		t.Errorf("suspects %v", list)
	}
	if list, _ := l.of([]FunctionPlan{{Name: "wc"}}); len(list) != 0 {
		t.Errorf("suspects of another function %v", list)
	}
	_, before := l.of(nil)
	for _, handle := range []string{"H:a:2", "H:a:3"} {
		c.job.handle = handle
		if _, forgotten := l.charge(c); (len(forgotten) > 0) != (handle == "H:a:3") || len(forgotten) > 0 && forgotten[0].key.handle != "H:a:1" {
			t.Errorf("%s: forgotten is %v", handle, forgotten)
		}
	}
	list, after := l.of([]FunctionPlan{f})
	if len(list) != 3 || list[0].GetJob().GetHash() != 8 || after <= before {
		t.Errorf("the oldest is forgotten first: %v, version %d after %d", list, after, before)
	}
	c.cause = "\xe9" + strings.Repeat("x", 10*maxCause)
	if s, _ := l.charge(c); len(s.GetCause()) > 2*maxCause || !utf8.ValidString(s.GetCause()) {
		t.Errorf("a cause of %d bytes, %.10q", len(s.GetCause()), s.GetCause())
	}
}

func TestHurryGrace(t *testing.T) {
	t.Parallel()
	for level, want := range map[int]time.Duration{0: -1, 1: time.Second, 3: time.Second, 4: 0, 9: 0} {
		grace, ok := hurryGrace(level)
		if !ok {
			grace = -1
		}
		if grace != want {
			t.Errorf("level %d: %v, want %v", level, grace, want)
		}
	}
}
