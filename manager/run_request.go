package manager

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/plugins"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// maxClientID is the longest client id in bytes that job servers keep.
const maxClientID = 128

// runFacts is what a worker is told to do, beside its pool's plan.
type runFacts struct {
	worker     string // "pool/number"
	host       string // name of this machine
	first      int    // number of its first slot, from 1
	servers    []jobServer
	numbers    map[string]int // of functions, by name
	paused     []string       // functions that are not taken
	records    []int          // of its slots
	recordFile string
	verbosity  int
	maxData    int64
	lifetime   time.Duration // with its random part; 0 is no limit
	suspects   []*workerpb.SuspectJob
	rests      bool           // at a limit the worker waits for Drain
	hold       workerpb.Hold  // of a standby
	random     func() float64 // 0 ≤ x < 1
}

// runRequest puts a plan into the words of the contract. Job records refer to servers and functions by their
// numbers.
func runRequest(plan *PoolPlan, f runFacts) *workerpb.RunRequest {
	return &workerpb.RunRequest{
		Contract:   plugins.ContractVersion,
		Worker:     f.worker,
		RecordFile: f.recordFile,
		Verbosity:  clamp32(f.verbosity),
		Suspects:   f.suspects,
		Rests:      f.rests,
		Hold:       f.hold,
		Servers:    serverList(f.servers),
		Functions:  requestFunctions(plan.Functions, f.numbers, f.random),
		Slots:      requestSlots(f.host, plan.Name, f.first, f.records),
		Paused:     f.paused,
		Limits: &workerpb.Limits{
			MaxRuns: clamp64(int64(plan.MaxRuns)), MaxLifetimeMs: milliseconds(f.lifetime),
			MaxMemory: clamp64(plan.MaxMemory), MaxData: clamp64(f.maxData),
		},
	}
}

// requestFunctions lists functions in the order in which one worker offers them.
func requestFunctions(functions []FunctionPlan, numbers map[string]int, random func() float64) (list []*workerpb.Function) {
	for _, i := range offerOrder(functions, random) {
		list = append(list, runFunction(functions[i], numbers[functions[i].Name]))
	}
	return list
}

// requestSlots names the slots of a worker, of which first is the number of the first
// one.
func requestSlots(host, pool string, first int, records []int) (slots []*workerpb.Slot) {
	for i, record := range records {
		slots = append(slots, &workerpb.Slot{ClientId: clientID(host, pool, first+i), Record: clamp32(record)})
	}
	return slots
}

// offerOrder is the order in which a worker offers functions, as places in the
// plan: by priority, and by chance where that is equal. A job server before
// gearmand 2.0 serves what was offered first for as long as it has jobs of it; with
// another order in each worker, as in GearmanManager, none starves.
func offerOrder(functions []FunctionPlan, random func() float64) []int {
	order := make([]int, len(functions))
	for i := range order {
		order[i] = i
		j := min(int(random()*float64(i+1)), i)
		order[i], order[j] = order[j], order[i]
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(functions[b].Priority, functions[a].Priority) })
	return order
}

// runFunction puts a function into the words of the contract, with its number in job records.
func runFunction(f FunctionPlan, number int) *workerpb.Function {
	out := &workerpb.Function{
		Name: f.Name, Index: clamp32(number), TimeoutMs: milliseconds(f.Timeout), SlowMs: milliseconds(f.Slow), Command: f.Command,
	}
	if f.Symbol != "" {
		out.Source = &workerpb.Source{File: f.Program, Symbol: f.Symbol, Pear: f.Pear}
	}
	if f.OnTimeout == config.Reissue {
		out.OnTimeout = workerpb.OnTimeout_ON_TIMEOUT_REISSUE
	}
	if f.OnCrash == config.Fail {
		out.OnCrash = workerpb.OnCrash_ON_CRASH_FAIL
	}
	return out
}

// clientID is what job servers show for a slot: "host/pool/number". Of a name that
// is too long for them the pool's is cut, as the number is what tells slots apart.
func clientID(host, pool string, number int) string {
	tail := fmt.Sprintf("/%d", number)
	if room := maxClientID - len(host) - 1 - len(tail); room < len(pool) {
		pool = strings.ToValidUTF8(pool[:max(room, 0)], "")
	}
	id := host + "/" + pool + tail
	return id[max(0, len(id)-maxClientID):]
}

// milliseconds rounds up, so that a limit never becomes none.
func milliseconds(d time.Duration) uint64 {
	return clamp64(int64((d + time.Millisecond - 1) / time.Millisecond))
}

func clamp64(n int64) uint64 { return uint64(max(n, 0)) }

func clamp32(n int) uint32 { return uint32(min(max(n, 0), 1<<31-1)) }
