package manager

import (
	"fmt"
	"path/filepath"

	"github.com/gearman-manager/gearman-manager/config"
)

// counts is the result of counting for one function.
type counts struct {
	// dedicated is the slots of its dedicated pool; 0 is no such pool.
	dedicated int
	// origin says which values decided, for people.
	origin string
}

// count counts the slots of a function exactly as GearmanManager does. It returns false for a function that cannot be planned.
func (p *planner) count(f config.Function, kind Kind) (counts, bool) {
	own, global := f.DedicatedCount(), p.cfg.DedicatedCount()
	if f.DedicatedOnly() {
		if own == 0 {
			p.note(config.Error, f.Origin("dedicated_only"), "the function is dedicated_only but has no dedicated_count, want dedicated_count = 1 or more in its section")
			return counts{}, false
		}
		return counts{dedicated: own, origin: origin(f.Origin("dedicated_count"))}, true
	}
	shared := p.cfg.Count()
	if kind == KindStandalone {
		shared = 0 // such a program performs its own functions only, so there is no shared pool beside it
	}
	least := max(f.Count(), shared, 1)
	total, from := least, "at least one worker"
	if f.Count() == least {
		from = origin(f.Origin("count"))
	}
	switch {
	case own > 0 && shared+own > least:
		total, from = shared+own, origin(f.Origin("dedicated_count"))
	case own == 0 && global > 0 && shared+global > least:
		total, from = shared+global, origin(p.cfg.Origin(config.GlobalSection, "dedicated_count"))
	case shared > 0 && total > shared:
		from = fmt.Sprintf("%s, less %d shared", from, shared)
	}
	return counts{dedicated: total - shared, origin: from}, true
}

// origin writes an origin so that it fits into a table: with the name of the file only.
func origin(o config.Origin) string {
	if o.File != "" {
		o.File = filepath.Base(o.File)
	}
	return o.String()
}
