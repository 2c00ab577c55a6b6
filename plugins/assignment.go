package plugins

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// assignment is what the manager wants of the worker: immutable, replaced
// whole.
type assignment struct {
	functions map[string]*workerpb.Function
	names     []string                    // of functions, highest priority first
	servers   map[string]*workerpb.Server // by normalized address
	addresses []string
	limits    *workerpb.Limits
	slots     []*workerpb.Slot
	verbosity uint32
	paused    map[string]bool
}

// errNoSlots refuses an assignment under which a worker would do nothing.
var errNoSlots = errors.New("a worker needs at least one slot")

// newAssignment takes over what Run says.
func newAssignment(d *definition, req *workerpb.RunRequest) (*assignment, error) {
	a := &assignment{limits: req.GetLimits(), slots: req.GetSlots(), verbosity: req.GetVerbosity()}
	if len(a.slots) == 0 {
		return nil, errNoSlots
	}
	if err := a.setFunctions(d, req.GetFunctions()); err != nil {
		return nil, err
	}
	return a, a.setServers(req.GetServers())
}

// with returns the assignment with those settings replaced that are present.
func (a *assignment) with(d *definition, s *workerpb.Settings) (*assignment, error) {
	next := *a
	if s.GetFunctions() != nil {
		if err := next.setFunctions(d, s.GetFunctions().GetFunctions()); err != nil {
			return nil, err
		}
	}
	if s.GetServers() != nil {
		if err := next.setServers(s.GetServers().GetServers()); err != nil {
			return nil, err
		}
	}
	if s.GetLimits() != nil {
		next.limits = s.GetLimits()
	}
	if s.GetSlots() != nil {
		next.slots = s.GetSlots().GetSlots()
	}
	if len(next.slots) == 0 {
		return nil, errNoSlots
	}
	if s.Verbosity != nil {
		next.verbosity = s.GetVerbosity()
	}
	return &next, nil
}

// pausing returns the assignment with functions paused or resumed.
func (a *assignment) pausing(names []string, paused bool) *assignment {
	next := *a
	next.paused = map[string]bool{}
	for name := range a.paused {
		next.paused[name] = true
	}
	for _, name := range names {
		if paused {
			next.paused[name] = true
		} else {
			delete(next.paused, name)
		}
	}
	return &next
}

// offered are the functions to register.
func (a *assignment) offered() []string {
	return slices.DeleteFunc(slices.Clone(a.names), func(name string) bool { return a.paused[name] })
}

// slot returns slot n as the manager describes it, or nil if it is not wanted
// any more.
func (a *assignment) slot(n int) *workerpb.Slot {
	if n >= len(a.slots) {
		return nil
	}
	return a.slots[n]
}

func (a *assignment) setFunctions(d *definition, list []*workerpb.Function) error {
	a.functions, a.names = map[string]*workerpb.Function{}, nil
	for _, f := range list {
		if d.handler(f.GetName()) == nil {
			return fmt.Errorf("function %q: this program performs %q", f.GetName(), d.names)
		}
		a.functions[f.GetName()] = f
		a.names = append(a.names, f.GetName())
	}
	return nil
}

func (a *assignment) setServers(list []*workerpb.Server) error {
	a.servers, a.addresses = map[string]*workerpb.Server{}, nil
	for _, s := range list {
		addr, err := gearclient.NormalizeAddr(s.GetAddress())
		if err != nil {
			return fmt.Errorf("server: %w", err)
		}
		a.servers[addr] = s
		a.addresses = append(a.addresses, addr)
	}
	return nil
}

// timeout is how long a job of f may take; 0: as long as it likes.
func timeout(f *workerpb.Function) time.Duration {
	return time.Duration(f.GetTimeoutMs()) * time.Millisecond //nolint:gosec // a configured duration
}
