package manager

import (
	"fmt"
	"slices"

	"github.com/gearman-manager/gearman-manager/config"
)

// HasPHP reports whether a PHP worker is planned: then the fleet may have been GearmanManager's.
func (p *Plan) HasPHP() bool {
	return slices.ContainsFunc(p.Pools, func(pool PoolPlan) bool { return pool.Kind == KindPHP })
}

// MigrationNotes says what whoever ran a config under GearmanManager finds different here: what its keys mean, in the order of the file, how
// many workers the functions have that it counts, what is performed that was not there, and what holds for every fleet.
func MigrationNotes(cfg *config.Config, plan *Plan) []config.Note {
	notes := cfg.Differences()
	set := slices.IndexFunc(notes, func(n config.Note) bool { return n.Value == "" })
	if set < 0 {
		set = len(notes)
	}
	notes = slices.Insert(notes, set, slices.Concat(countNotes(cfg, plan), strangerNotes(cfg, plan))...)
	return append(notes, fleetNotes()...)
}

// countNotes says what becomes of the numbers in the sections of functions.
func countNotes(cfg *config.Config, plan *Plan) []config.Note {
	own := map[string]int{}
	shared := map[string]int{}
	for _, pool := range plan.Pools {
		for _, f := range pool.Functions {
			if pool.Shared {
				shared[f.Name] += pool.Slots
			} else {
				own[f.Name] += pool.Slots
			}
		}
	}
	var notes []config.Note
	for _, name := range cfg.Sections() {
		f := cfg.Function(name)
		if own[name]+shared[name] == 0 {
			continue // it is not performed
		}
		for _, key := range []string{"count", "dedicated_count"} {
			if f.IsOwn(key) {
				note := cfg.NoteAt(name, key, countRule(f), "")
				note.Comes = countText(own[name], shared[name])
				notes = append(notes, note)
				break // the numbers are those of both
			}
		}
	}
	return notes
}

// countRule says how the workers of a function are counted.
func countRule(f config.Function) string {
	if f.DedicatedOnly() {
		return "this is as it was: dedicated_only leaves out the shared pool, and count has no effect"
	}
	return "this is as it was: count is the least number of workers of the shared pool and of its own together, dedicated_count is added to the shared pool, and the larger result holds"
}

// countText says what workers a function has.
func countText(own, shared int) string {
	switch {
	case own == 0:
		return workers(shared) + ", all of the shared pool"
	case shared == 0:
		return workers(own) + ", all of its own"
	default:
		return fmt.Sprintf("%s, %d of the shared pool and %d of its own", workers(own+shared), shared, own)
	}
}

// workers counts them.
func workers(n int) string {
	if n == 1 {
		return "1 worker"
	}
	return fmt.Sprintf("%d workers", n)
}

// strangerNotes names what is performed by files in worker_dir that GearmanManager did not look at.
func strangerNotes(cfg *config.Config, plan *Plan) []config.Note {
	var notes []config.Note
	var named []string
	for _, pool := range plan.Pools {
		for _, f := range pool.Functions {
			if pool.Kind == KindPHP || cfg.Function(f.Name).Command() != nil || slices.Contains(named, f.Name) {
				continue
			}
			named = append(named, f.Name)
			notes = append(notes, cfg.NoteAt(config.GlobalSection, "worker_dir",
				fmt.Sprintf("GearmanManager looked at .php files only; here %s, which is executable, performs %s", f.Program, f.Name),
				"move it away or exclude it if it is no worker"))
		}
	}
	return notes
}

// fleetNotes are the differences that no key is about.
func fleetNotes() []config.Note {
	return []config.Note{
		{
			What: "a worker loads its files when it starts; there it did so with its first job, so that a connection that is opened outside the function was not yet opened by an idle worker",
			Do:   "open connections in the function, or count those of idle workers too",
		},
		{
			What: "workers have the environment that the manager was started with, as there, but not what a service manager tells the manager alone (NOTIFY_SOCKET, WATCHDOG_USEC, LISTEN_FDS and the like)",
			Do:   "set PATH, HOME, TZ and the like where the manager is started",
		},
	}
}
