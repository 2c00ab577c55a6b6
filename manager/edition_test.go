package manager

import (
	"slices"
	"testing"
	"time"

	"github.com/gearman-manager/gearman-manager/supervisor"
)

func TestOverlaidPlanKeepsWhatTheWorkersHave(t *testing.T) {
	t.Parallel()
	was := &PoolPlan{
		Name: "*", Shared: true, Kind: KindPHP, Hash: "old", Limits: supervisor.Limits{NoFile: 10}, Slots: 2,
		Functions: []FunctionPlan{{Name: "a", Program: "/a", Timeout: 1}, {Name: "gone", Program: "/g"}},
	}
	next := &PoolPlan{
		Name: "*php", Shared: true, Kind: KindPHP, Hash: "new", Limits: supervisor.Limits{NoFile: 20}, Slots: 5, MaxRuns: 7,
		Functions: []FunctionPlan{{Name: "a", Program: "/new/a", Timeout: 2, Priority: 1}, {Name: "more", Program: "/m"}},
	}
	got := was.overlaid(next)
	if got.Name != "*php" || got.Slots != 5 || got.MaxRuns != 7 || got.Hash != "old" || got.Limits.NoFile != 10 {
		t.Errorf("plan %+v", got)
	}
	want := []FunctionPlan{{Name: "a", Program: "/a", Timeout: 2, Priority: 1}, {Name: "gone", Program: "/g"}}
	if !slices.EqualFunc(got.Functions, want, func(a, b FunctionPlan) bool {
		return a.Name == b.Name && a.Program == b.Program && a.Timeout == b.Timeout && a.Priority == b.Priority
	}) {
		t.Errorf("functions %+v, want %+v", got.Functions, want)
	}
	was.Kind = KindExec // whose worker performs whatever it is told
	if got := was.overlaid(next); len(got.Functions) != 2 || got.Functions[1].Name != "more" || got.Hash != "new" {
		t.Errorf("plan %+v", got)
	}
}

// A number stands for one function for as long as a pool lives, and a job that began
// before a limit was changed ends under the old one.
func TestFunctionsKeepTheirNumbers(t *testing.T) {
	t.Parallel()
	var table functionTable
	plan := func(functions ...FunctionPlan) *PoolPlan { return &PoolPlan{Functions: functions} }
	table.learn(plan(FunctionPlan{Name: "a", Timeout: time.Minute}, FunctionPlan{Name: "b"}), 10)
	table.learn(plan(FunctionPlan{Name: "c"}, FunctionPlan{Name: "a", Timeout: time.Second}), 20)
	for name, want := range map[string]int{"a": 0, "b": 1, "c": 2} {
		if got := table.numbers[name]; got != want {
			t.Errorf("%s has the number %d, want %d", name, got, want)
		}
	}
	for began, want := range map[time.Duration]time.Duration{19: time.Minute, 20: time.Second} {
		if f, ok := table.at(0, began); !ok || f.Name != "a" || f.Timeout != want {
			t.Errorf("began at %d: %+v, want %v", began, f, want)
		}
	}
	if f, ok := table.at(1, 30); !ok || f.Name != "b" {
		t.Errorf("a function that is gone: %+v", f)
	}
	for _, n := range []int{-1, 3} {
		if _, ok := table.at(n, 30); ok {
			t.Errorf("there is a function %d", n)
		}
	}
}

func TestServersKeepTheirNumbers(t *testing.T) {
	t.Parallel()
	s := newServers(func(Event) {})
	s.want([]string{"a:1", "b:1"})
	s.connect("a:1")
	got := s.want([]string{"c:1", "b:1"})
	if want := []jobServer{{"c:1", 2}, {"b:1", 1}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if a, ok := s.address(0); !ok || a != "a:1" {
		t.Errorf("server 0 is %q", a)
	}
	if _, ok := s.address(3); ok {
		t.Error("there is a server 3")
	}
	if got := s.want([]string{"a:1"}); got[0].number != 0 {
		t.Errorf("%v after it came back", got)
	}
	if st := s.status([]string{"a:1"}); st[0].Slots != 1 {
		t.Errorf("status %+v", st)
	}
}

// A server that the fleet is to leave is not lost.
func TestServerThatIsLeftIsNotLost(t *testing.T) {
	t.Parallel()
	var events []Event
	s := newServers(func(e Event) { events = append(events, e) })
	defer s.close()
	s.want([]string{"a:1"})
	s.connect("a:1")
	s.want([]string{"b:1"})
	s.lose("a:1", "left", true)
	if len(events) != 0 {
		t.Errorf("events %+v", events)
	}
	s.lose("b:1", "refused", false)
	if len(events) != 1 {
		t.Errorf("events %+v", events)
	}
}

func TestTurn(t *testing.T) {
	t.Parallel()
	turn, stop := newTurn(), make(chan struct{})
	if err := turn.enter(t.Context(), stop); err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() { got <- turn.enter(t.Context(), stop) }()
	close(stop)
	if err := <-got; err != errStopping { //nolint:errorlint // the very one
		t.Errorf("error %v", err)
	}
	turn.leave()
	turn.close()
	if err := turn.enter(t.Context(), make(chan struct{})); err != errStopping { //nolint:errorlint // the very one
		t.Errorf("error %v", err)
	}
}
