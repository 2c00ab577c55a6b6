package manager

// State is where a worker is in its life.
//
//	            hello             a place            retiring, drain            the process ends
//	starting ──────────► standby ──────────► ready ────────────────► draining ────────────────► exited
//	    │                  │                  │                                                   ▲
//	    └──────────────────┴──────────────────┴───────────────────────────────────────────────────┘
//
// A place in a pool whose next worker has to wait for its start is in backoff, and
// failed where none is started any more.
type State string

// The states of a worker, and of a place without one.
const (
	// StateStarting: the process is to be started, or has not said hello yet.
	StateStarting State = "starting"
	// StateStandby: it is connected and waits for a place in the pool.
	StateStandby State = "standby"
	// StateReady: it takes jobs from whichever job server can be reached.
	StateReady State = "ready"
	// StateDraining: it takes no more jobs and leaves.
	StateDraining State = "draining"
	// StateExited: the process has ended.
	StateExited State = "exited"
	// StateBackoff: there is no process, the next one is started later.
	StateBackoff State = "backoff"
	// StateFailed: there is no process, and none is started before the program changes
	// or somebody says so.
	StateFailed State = "failed"
)

// trigger is what moves a worker from state to state.
type trigger string

const (
	triggerHello trigger = "hello" // the worker runs
	triggerSeat  trigger = "seat"  // it has a place
	triggerDrain trigger = "drain" // it was told to leave, or decided to
	triggerExit  trigger = "exit"  // its process has ended, or was never there
)

// next returns the state that a trigger leads to, and whether it does: a trigger
// that comes late, such as a drain after the end, changes nothing.
func (s State) next(t trigger) (State, bool) {
	to, ok := map[State]map[trigger]State{
		StateStarting: {triggerHello: StateStandby, triggerDrain: StateDraining, triggerExit: StateExited},
		StateStandby:  {triggerSeat: StateReady, triggerDrain: StateDraining, triggerExit: StateExited},
		StateReady:    {triggerDrain: StateDraining, triggerExit: StateExited},
		StateDraining: {triggerExit: StateExited},
	}[s][t]
	if !ok {
		return s, false
	}
	return to, true
}
