package manager

// State is where a worker is in its life.
//
//	            Hello             retiring, drain            the process ends
//	starting ──────────► ready ────────────────► draining ────────────────► exited
//	    │                  │                                                   ▲
//	    └──────────────────┴───────────────────────────────────────────────────┘
//
// A place in a pool whose next worker has to wait for its start is in backoff.
type State string

// The states of a worker, and of a place without one.
const (
	// StateStarting: the process is to be started, or has not said hello yet.
	StateStarting State = "starting"
	// StateReady: it takes jobs from whichever job server can be reached.
	StateReady State = "ready"
	// StateDraining: it takes no more jobs and leaves.
	StateDraining State = "draining"
	// StateExited: the process has ended.
	StateExited State = "exited"
	// StateBackoff: there is no process, the next one is started later.
	StateBackoff State = "backoff"
)

// trigger is what moves a worker from state to state.
type trigger string

const (
	triggerHello trigger = "hello" // the worker runs
	triggerDrain trigger = "drain" // it was told to leave, or decided to
	triggerExit  trigger = "exit"  // its process has ended, or was never there
)

// next returns the state that a trigger leads to, and whether it does: a trigger
// that comes late, such as a drain after the end, changes nothing.
func (s State) next(t trigger) (State, bool) {
	switch s {
	case StateStarting:
		switch t {
		case triggerHello:
			return StateReady, true
		case triggerDrain:
			return StateDraining, true
		case triggerExit:
			return StateExited, true
		}
	case StateReady:
		switch t {
		case triggerDrain:
			return StateDraining, true
		case triggerExit:
			return StateExited, true
		case triggerHello:
		}
	case StateDraining:
		switch t {
		case triggerExit:
			return StateExited, true
		case triggerHello, triggerDrain:
		}
	case StateExited, StateBackoff:
	}
	return s, false
}
