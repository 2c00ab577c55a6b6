package manager

import (
	"slices"

	"github.com/gearman-manager/gearman-manager/config"
)

// checkMode notes a mode that is not how the function's program is run: a plugin declares its functions, whatever its file is called.
func (p *planner) checkMode(f config.Function, program Program) {
	mode := f.Mode()
	if mode == "pear" {
		mode = string(KindPHP)
	}
	if mode != "" && mode != string(program.Kind) {
		p.note(config.Warning, f.Origin("mode"), "the mode has no effect: %s performs the function as %s, want mode in a section that is named like the program's file", program.Path, program.Kind)
	}
}

// checkSharedOnly notes limits of the process that stand in the section of a function that has no process of its own.
func (p *planner) checkSharedOnly(f config.Function, kind Kind) {
	for _, key := range ownLimits() {
		switch {
		case key == "concurrency" && kind == KindPHP:
			p.checkOneSlot(f, kind)
		case f.IsOwn(key):
			p.note(config.Warning, f.Origin(key), "the value has no effect: only the shared pool performs the function, want it in [%s], or a dedicated_count", config.GlobalSection)
		}
	}
}

// checkOneSlot notes a concurrency where a worker has one slot, whatever is wanted.
func (p *planner) checkOneSlot(f config.Function, kind Kind) {
	if f.IsOwn("concurrency") && f.Concurrency() > 1 {
		p.note(config.Warning, f.Origin("concurrency"), "a %s worker performs one job at a time, want concurrency for a plugin or an executable only", kind)
	}
}

// checkSections notes sections of functions that no program performs. A section without effect because include or exclude say so, and a
// program that could not be used, which was noted when it was looked at, are left alone.
func (p *planner) checkSections() {
	for _, name := range p.cfg.Sections() {
		f := p.cfg.Function(name)
		if p.found(name) || !p.cfg.Included(name) || f.Command() != nil || config.CheckFunctionName(name) != nil {
			continue
		}
		at := p.cfg.SectionOrigin(name)
		p.note(config.Warning, at, "no program performs this function%s, want a worker of this name in worker_dir, or a command", p.didYouMean(name))
	}
}

// checkInclude notes functions that are asked for and that no program performs.
func (p *planner) checkInclude() {
	for _, name := range p.cfg.Include() {
		if !p.found(name) && p.cfg.Included(name) {
			p.note(config.Warning, p.cfg.Origin(config.GlobalSection, "include"), "no program performs the function %s%s, want a worker of this name in worker_dir, or a command", name, p.didYouMean(name))
		}
	}
}

// found reports whether there is a program for the function, broken ones included.
func (p *planner) found(name string) bool {
	return slices.Contains(p.performed, name) || slices.Contains(p.broken, name)
}

// didYouMean asks for the nearest function that is performed.
func (p *planner) didYouMean(name string) string {
	if nearest := config.Nearest(name, p.performed); nearest != "" {
		return " (did you mean " + nearest + "?)"
	}
	return ""
}
