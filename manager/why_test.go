package manager

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/config"
)

// whyBase is a fleet in which nothing holds resize back, and two jobs wait.
func whyBase(t *testing.T) whyInput {
	t.Helper()
	settings, problems := config.Parse("c.ini", []byte("[GearmanManager]\nexclude = hidden\ncount = 1\n[thumb]\ncount = 2\n[hidden]\ncount = 1\n"), config.Overrides{{Key: "worker_dir", Value: "/w"}})
	if config.HasErrors(problems) {
		t.Fatal(problems)
	}
	at := time.Unix(1000, 0)
	return whyInput{
		function: "resize", settings: settings,
		fleet: Snapshot{
			At:      at,
			Servers: []ServerStatus{{Address: "a:1", Slots: 2}, {Address: "b:1", Slots: 2}},
			Pools: []PoolStatus{
				{Name: "*", Shared: true, Kind: KindExec, Functions: []string{"other", "thumbnail"}, Slots: 1, Runs: true},
				{
					Name: "resize", Kind: KindExec, Functions: []string{"resize"}, Slots: 2, Runs: true,
					Workers: []WorkerStatus{{Name: "resize/1", PID: 7, State: StateReady, Slots: 2, Ready: 2}},
				},
			},
		},
		queues: []ServerQueue{{Server: "a:1", Queued: 1, Workers: 2}, {Server: "b:1", Queued: 1}},
	}
}

// busy is so many jobs in hand.
func busyWith(function string, n int) (jobs []JobInHand) {
	for i := range n {
		jobs = append(jobs, JobInHand{Function: function, Handle: fmt.Sprintf("H:a:%d", i+1), Since: time.Duration(i+1) * time.Second})
	}
	return jobs
}

func TestWhy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(in *whyInput, p *PoolStatus)
		want   []string
	}{
		"nothing": {func(*whyInput, *PoolStatus) {}, nil},
		"nothing queued": {
			func(in *whyInput, _ *PoolStatus) { in.queues = []ServerQueue{{Server: "a:1"}} },
			[]string{"nothing_queued: no job of it waits"},
		},
		"a server that is silent": {
			func(in *whyInput, _ *PoolStatus) {
				in.queues = []ServerQueue{{Server: "a:1"}, {Server: "b:1", Err: errors.New("timeout")}}
			},
			[]string{"queue_unknown: whether jobs wait is not known: b:1 did not say"},
		},
		"paused":       {func(_ *whyInput, p *PoolStatus) { p.Paused = []string{"resize"} }, []string{"paused! it was paused by hand; to go on: gearman-manager resume resize"}},
		"another one":  {func(_ *whyInput, p *PoolStatus) { p.Paused, p.Drained = []string{"other"}, []string{"other"} }, nil},
		"drained":      {func(_ *whyInput, p *PoolStatus) { p.Paused, p.Drained = []string{"resize"}, []string{"resize"} }, []string{"drained! it was drained by hand"}},
		"scaled away":  {func(_ *whyInput, p *PoolStatus) { p.Slots, p.Scaled, p.Workers = 0, true, nil }, []string{"no_slots! it was scaled to 0 by hand; for more: gearman-manager scale resize=1"}},
		"none planned": {func(_ *whyInput, p *PoolStatus) { p.Slots, p.Workers = 0, nil }, []string{"no_slots! the config plans"}},
		"not run":      {func(_ *whyInput, p *PoolStatus) { p.Runs, p.Workers = false, nil }, []string{"not_run! workers of kind exec cannot be run"}},
		"given up": {
			func(_ *whyInput, p *PoolStatus) {
				p.GaveUp, p.Failures = true, 4
				p.Workers = []WorkerStatus{{Name: "resize/1", State: StateFailed, LastExit: "status 3"}}
			},
			[]string{"failed! after 4 failed starts in a row none of its workers is started any more, the last one: status 3; to try again: gearman-manager retry resize"},
		},
		"backoff": {
			func(in *whyInput, p *PoolStatus) {
				p.Failures, p.NextTry = 1, in.fleet.At.Add(3200*time.Millisecond)
				p.Workers = []WorkerStatus{{Name: "resize/1", State: StateBackoff}}
			},
			[]string{"backoff! its workers do not start: 1 failed start in a row; the next try is in 3.2s"},
		},
		"backoff beside a worker that works": {
			func(in *whyInput, p *PoolStatus) {
				p.Failures, p.NextTry = 1, in.fleet.At.Add(time.Second)
				p.Workers = append(p.Workers, WorkerStatus{Name: "resize/2", State: StateBackoff})
			},
			nil,
		},
		"starting": {func(_ *whyInput, p *PoolStatus) { p.Workers[0].State = StateStarting }, []string{"starting! none of its workers is ready yet"}},
		"stopped":  {func(_ *whyInput, p *PoolStatus) { p.Workers[0].Stopped = true }, []string{"stopped! a signal has stopped its workers"}},
		"all servers": {
			func(in *whyInput, _ *PoolStatus) {
				for i := range in.fleet.Servers {
					in.fleet.Servers[i].Lost, in.fleet.Servers[i].Err = in.fleet.At.Add(-time.Minute), "EOF"
				}
			},
			[]string{"servers_lost! job server a:1 cannot be reached for 1m0s: the other side closed the connection", "servers_lost! job server b:1"},
		},
		"one server": {
			func(in *whyInput, _ *PoolStatus) { in.fleet.Servers[1].Lost = in.fleet.At },
			[]string{"server_lost: job server b:1 cannot be reached"},
		},
		"busy": {
			func(_ *whyInput, p *PoolStatus) { p.Workers[0].Jobs = busyWith("resize", 2) },
			[]string{
				"busy! all of its 2 slots have a job; the longest, resize H:a:2, runs for 2s",
				"limit: 2 jobs wait for 2 slots; for more: gearman-manager scale resize=3",
			},
		},
		"half busy": {func(_ *whyInput, p *PoolStatus) { p.Workers[0].Jobs = busyWith("resize", 1) }, nil},
		"a standalone one": {
			func(_ *whyInput, p *PoolStatus) { p.JobsUnknown = true },
			nil,
		},
		"busy with others in a shared pool": {
			func(in *whyInput, p *PoolStatus) {
				in.function = "other"
				in.fleet.Pools[0].Workers = []WorkerStatus{{Name: "*/1", PID: 8, State: StateReady, Slots: 1, Jobs: busyWith("thumbnail", 1)}}
			},
			[]string{
				"busy! its only slot has a job, 1 of another function; the longest, thumbnail H:a:1, runs for 1s",
				"limit: 2 jobs wait for 1 slot; for more: gearman-manager scale \\*=2",
			},
		},
		"quarantine": {
			func(in *whyInput, _ *PoolStatus) {
				in.quarantine = []QuarantinedJob{{Function: "resize", Quarantined: true}, {Function: "resize"}, {Function: "other", Quarantined: true}}
			},
			[]string{"quarantine: 1 job of it in quarantine"},
		},
		"rolling": {
			func(_ *whyInput, p *PoolStatus) { p.Outdated, p.Fault = 1, "exec format error" },
			[]string{"fault: a change of pool resize is not applied, and what was before goes on: exec format error", "rolling: 1 of 1 worker of pool resize"},
		},
		"a broken program that goes on": {
			func(in *whyInput, _ *PoolStatus) {
				in.fleet.Reload.Problems = []config.Problem{
					{File: "/w/resize.php", Line: 3, Severity: config.Error, Message: "syntax error"},
					{Section: "other", Severity: config.Error, Message: "x"},
					{Section: "resize", Severity: config.Warning, Message: "x"},
				}
			},
			[]string{"problem: /w/resize.php:3: syntax error"},
		},
		"a pool that leaves": {
			func(_ *whyInput, p *PoolStatus) { p.Leaving = true },
			[]string{"removed! it was taken out of the config or its program is gone; 1 worker left"},
		},
		"two pools, one of which works": {
			func(in *whyInput, p *PoolStatus) {
				in.fleet.Pools[0].Functions, in.fleet.Pools[0].GaveUp = []string{"resize"}, true
				in.fleet.Pools[0].Failures = 2
			},
			[]string{"failed: pool *: after 2 failed starts"},
		},
		"two pools, none of which works": {
			func(in *whyInput, p *PoolStatus) {
				in.fleet.Pools[0].Functions = []string{"resize"}
				p.Paused = []string{"resize"}
				in.queues[0].Queued, in.queues[1].Queued = 0, 0
			},
			[]string{"paused! pool resize: it was paused", "starting! pool *: none of its workers", "nothing_queued: "},
		},
		"a program that cannot be run": {
			func(in *whyInput, _ *PoolStatus) {
				in.function = "broken"
				in.fleet.Reload.Problems = []config.Problem{
					{File: "c.ini", Line: 2, Section: "GearmanManager", Key: "worker_dir", Severity: config.Error, Message: "the file /w/broken.sh is not run: others may write to it"},
					{File: "c.ini", Severity: config.Error, Message: "the file /w/broken2 is not run"},
				}
			},
			[]string{"problem! c.ini:2: [GearmanManager] worker_dir: the file /w/broken.sh is not run"},
		},
		"excluded": {func(in *whyInput, _ *PoolStatus) { in.function = "hidden" }, []string{"excluded! the config leaves it out"}},
		"a section without a program": {
			func(in *whyInput, _ *PoolStatus) {
				in.function = "thumb"
				in.fleet.Reload.Problems = []config.Problem{{File: "c.ini", Line: 4, Section: "thumb", Severity: config.Warning, Message: "no program performs this function"}}
			},
			[]string{"no_program! c.ini:4: [thumb]: no program performs this function"},
		},
		"known to a job server only": {
			func(in *whyInput, _ *PoolStatus) { in.function = "elsewhere" },
			[]string{"no_program! no program performs it"},
		},
		"unknown": {
			func(in *whyInput, _ *PoolStatus) { in.function, in.queues = "nonsense", nil },
			[]string{"unknown"},
		},
		"a slip of the finger": {
			func(in *whyInput, _ *PoolStatus) { in.function, in.queues = "rezise", nil },
			[]string{"unknown (did you mean resize?)"},
		},
	} {
		in := whyBase(t)
		c.change(&in, &in.fleet.Pools[1])
		if got := said(in); len(got) != len(c.want) || !hasPrefixes(got, c.want) {
			t.Errorf("%s: %s", name, cmp.Diff(c.want, got))
		}
	}
}

// said is an explanation in lines; ! marks what blocks.
func said(in whyInput) (lines []string) {
	if !in.known() {
		return []string{"unknown" + in.didYouMean()}
	}
	for _, r := range in.explain().Reasons {
		mark := ": "
		if r.Blocks {
			mark = "! "
		}
		lines = append(lines, string(r.Code)+mark+r.Message)
	}
	return lines
}

func hasPrefixes(got, want []string) bool {
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			return false
		}
	}
	return true
}
