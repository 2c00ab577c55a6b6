package manager

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

func TestRunRequest(t *testing.T) {
	t.Parallel()
	plan := &PoolPlan{
		Name: "*", MaxRuns: 100, MaxMemory: 1 << 30, MaxMemoryHard: 1 << 31,
		Functions: []FunctionPlan{
			{Name: "wc", Command: []string{"/usr/bin/wc", "-l"}, Slow: 5 * time.Second, Timeout: 1500 * time.Microsecond, OnTimeout: config.Reissue, OnCrash: config.Fail},
			{Name: "resize", OnTimeout: config.Fail, OnCrash: config.Reissue},
			{Name: "mail", Program: "/w/mail.php", Symbol: "job_mail", Pear: true},
		},
	}
	got := runRequest(plan, runFacts{
		worker: "*/5", host: "web1", first: 5, servers: []jobServer{{"a:1", 3}, {"b:2", 7}}, numbers: map[string]int{"wc": 4, "resize": 2, "mail": 9},
		paused: []string{"mail"}, records: []int{9, 4},
		recordFile: "/run/records0", verbosity: 3, maxData: 1 << 20, lifetime: time.Hour,
		suspects: []*workerpb.SuspectJob{{Attempts: 1}}, rests: true, hold: workerpb.Hold_HOLD_CONNECTED,
		random: func() float64 { return 0.999 }, // leaves all where it is
	})
	want := &workerpb.RunRequest{
		Contract: 1, Worker: "*/5",
		Servers: []*workerpb.Server{{Address: "a:1", Index: 3}, {Address: "b:2", Index: 7}},
		Functions: []*workerpb.Function{
			{
				Name: "wc", Index: 4, TimeoutMs: 2, SlowMs: 5000, OnTimeout: workerpb.OnTimeout_ON_TIMEOUT_REISSUE,
				OnCrash: workerpb.OnCrash_ON_CRASH_FAIL, Command: []string{"/usr/bin/wc", "-l"},
			},
			{Name: "resize", Index: 2},
			{Name: "mail", Index: 9, Source: &workerpb.Source{File: "/w/mail.php", Symbol: "job_mail", Pear: true}},
		},
		Limits:     &workerpb.Limits{MaxRuns: 100, MaxLifetimeMs: 3600_000, MaxMemory: 1 << 30, MaxData: 1 << 20},
		Slots:      []*workerpb.Slot{{ClientId: "web1/*/5", Record: 9}, {ClientId: "web1/*/6", Record: 4}},
		RecordFile: "/run/records0", Verbosity: 3, Suspects: []*workerpb.SuspectJob{{Attempts: 1}},
		Rests: true, Hold: workerpb.Hold_HOLD_CONNECTED, Paused: []string{"mail"},
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

// TestOfferOrder offers functions by priority, and those of equal priority in any
// order.
func TestOfferOrder(t *testing.T) {
	t.Parallel()
	functions := []FunctionPlan{{Name: "a", Priority: 5}, {Name: "b"}, {Name: "c"}, {Name: "d"}, {Name: "e", Priority: -1}}
	firsts := map[int]int{}
	for range 300 {
		order := offerOrder(functions, rand.Float64)
		if len(order) != 5 || order[0] != 0 || order[4] != 4 {
			t.Fatalf("offered in the order %v, want 0 first and 4 last", order)
		}
		middle := slices.Sorted(slices.Values(order[1:4]))
		if !slices.Equal(middle, []int{1, 2, 3}) {
			t.Fatalf("offered in the order %v, want each function once", order)
		}
		firsts[order[1]]++
	}
	for i := 1; i <= 3; i++ {
		if firsts[i] < 30 {
			t.Errorf("function %d came first among its equals %d times of 300", i, firsts[i])
		}
	}
}

func TestClientID(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 300)
	for _, c := range []struct{ host, pool, want string }{
		{"web1", "resize", "web1/resize/12"},
		{"web1", "a/b c", "web1/a/b c/12"},
		{"web1", long, "web1/" + strings.Repeat("é", 60) + "/12"},
		{strings.Repeat("h", 200), "resize", strings.Repeat("h", 124) + "//12"},
	} {
		got := clientID(c.host, c.pool, 12)
		if got != c.want || len(got) > maxClientID {
			t.Errorf("got %q of %d bytes, want %q", got, len(got), c.want)
		}
	}
}
