package plugins

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// assignment is what the manager wants of the worker: immutable, replaced
// whole. It still knows what was wanted before and is not any more: a job that is in
// hand then, or is the last one of a server that is left, is performed and accounted
// for as before.
type assignment struct {
	functions map[string]*workerpb.Function // former ones too
	names     []string                      // of those wanted, highest priority first
	servers   map[string]*workerpb.Server   // by normalized address; former ones too
	addresses []string                      // of those wanted
	limits    *workerpb.Limits
	slots     []*workerpb.Slot // former ones too, behind those wanted
	want      int              // slots wanted
	verbosity uint32
	paused    map[string]bool // also of functions that are not wanted now
}

// errNoSlots refuses an assignment under which a worker would do nothing.
var errNoSlots = errors.New("a worker needs at least one slot")

// newAssignment takes over what Run says.
func newAssignment(d *definition, req *workerpb.RunRequest) (*assignment, error) {
	a := &assignment{limits: req.GetLimits(), verbosity: req.GetVerbosity()}
	if err := a.setSlots(req.GetSlots()); err != nil {
		return nil, err
	}
	if err := a.setFunctions(d, req.GetFunctions()); err != nil {
		return nil, err
	}
	if err := a.setServers(req.GetServers()); err != nil {
		return nil, err
	}
	return a.pausing(req.GetPaused(), true), nil
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
	if s.GetSlots() != nil {
		if err := next.setSlots(s.GetSlots().GetSlots()); err != nil {
			return nil, err
		}
	}
	if s.GetLimits() != nil {
		next.limits = s.GetLimits()
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

// slot returns slot n as the manager describes it, or did last; nil if there never was
// one.
func (a *assignment) slot(n int) *workerpb.Slot {
	if n >= len(a.slots) {
		return nil
	}
	return a.slots[n]
}

func (a *assignment) setSlots(list []*workerpb.Slot) error {
	if len(list) == 0 {
		return errNoSlots
	}
	a.want = len(list)
	a.slots = slices.Concat(list, a.slots[min(len(list), len(a.slots)):])
	return nil
}

func (a *assignment) setFunctions(d *definition, list []*workerpb.Function) error {
	functions := maps.Clone(a.functions)
	if functions == nil {
		functions = map[string]*workerpb.Function{}
	}
	var names []string
	for _, f := range list {
		if d.handler(f.GetName()) == nil {
			return fmt.Errorf("function %q: this program performs %q", f.GetName(), d.names)
		}
		if err := checkName(f.GetName()); err != nil {
			return err
		}
		functions[f.GetName()] = f
		names = append(names, f.GetName())
	}
	a.functions, a.names = functions, names
	return nil
}

func (a *assignment) setServers(list []*workerpb.Server) error {
	servers := maps.Clone(a.servers)
	if servers == nil {
		servers = map[string]*workerpb.Server{}
	}
	var addresses []string
	for _, s := range list {
		addr, err := gearclient.NormalizeAddr(s.GetAddress())
		if err != nil {
			return fmt.Errorf("server: %w", err)
		}
		servers[addr] = s
		addresses = append(addresses, addr)
	}
	a.servers, a.addresses = servers, addresses
	return nil
}

// slow is how long a job of f may take without being told of as slow; 0: as long as it
// likes.
func slow(f *workerpb.Function) time.Duration {
	return time.Duration(f.GetSlowMs()) * time.Millisecond //nolint:gosec // a configured duration
}

// timeout is how long a job of f may take; 0: as long as it likes.
func timeout(f *workerpb.Function) time.Duration {
	return time.Duration(f.GetTimeoutMs()) * time.Millisecond //nolint:gosec // a configured duration
}
