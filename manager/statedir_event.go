package manager

import (
	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/internal/logging"
)

// StateNotKept says that nothing survives a restart, or no more than was written
// before. It is said once; everything else goes on.
type StateNotKept struct {
	Dir string // empty if none could be chosen
	Err error
}

// Name is "state_not_kept".
func (StateNotKept) Name() string { return "state_not_kept" }

// About says what it is about.
func (e StateNotKept) About() About { return About{Reason: errorText(e.Err)} }

func (e StateNotKept) log(log zerolog.Logger) {
	log.Warn().Func(func(line *zerolog.Event) { text(line, logging.FieldDir, e.Dir) }).Err(e.Err).Msg("state not kept")
}

// StateKept says that state is kept again after StateNotKept.
type StateKept struct{ Dir string }

// Name is "state_kept".
func (StateKept) Name() string { return "state_kept" }

// About says what it is about.
func (StateKept) About() About { return About{} }

func (e StateKept) log(log zerolog.Logger) {
	log = always(log)
	log.Info().Str(logging.FieldDir, e.Dir).Msg("state kept again")
}

// StateSetAside says that a file in the state directory cannot be understood.
// Nothing of it is used.
type StateSetAside struct {
	File string // where it is kept; the old name if it could not be renamed
	Err  error  // what is wrong with it
}

// Name is "state_set_aside".
func (StateSetAside) Name() string { return "state_set_aside" }

// About says what it is about.
func (e StateSetAside) About() About { return About{Reason: errorText(e.Err)} }

func (e StateSetAside) log(log zerolog.Logger) {
	log.Warn().Str(logging.FieldFile, e.File).Err(e.Err).Msg("state file set aside")
}

// SuspectsRemembered says that jobs were suspect or in quarantine before the manager
// was restarted, and are still.
type SuspectsRemembered struct {
	Suspects    int
	Quarantined int
}

// Name is "suspects_remembered".
func (SuspectsRemembered) Name() string { return "suspects_remembered" }

// About says what it is about.
func (SuspectsRemembered) About() About { return About{} }

func (e SuspectsRemembered) log(log zerolog.Logger) {
	log = always(log)
	log.Info().Int(logging.FieldSuspects, e.Suspects).Int(logging.FieldQuarantined, e.Quarantined).Msg("suspect jobs remembered")
}
