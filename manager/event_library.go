package manager

import (
	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/internal/logging"
)

// PluginInPlace says that a plugin is run from where it lies, since no private copy of it can be kept: it cannot be overwritten while it runs ("text file
// busy"), and a worker that is started after it was replaced runs the new version at once.
type PluginInPlace struct {
	Program string // path; empty: this goes for all plugins
	Err     error  // why
}

// Name is "plugin_in_place".
func (PluginInPlace) Name() string { return "plugin_in_place" }

// About says what it is about.
func (e PluginInPlace) About() About { return About{Reason: errorText(e.Err)} }

func (e PluginInPlace) log(log zerolog.Logger) {
	log.Warn().Func(who(e)).Func(func(line *zerolog.Event) { text(line, logging.FieldProgram, e.Program) }).AnErr(zerolog.ErrorFieldName, e.Err).
		Str(logging.FieldDetail, "want new versions moved over the old ones (mv, not cp), or a state_dir where programs can be run").
		Msg("plugin runs in place")
}
