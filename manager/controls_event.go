package manager

import (
	"fmt"
	"maps"
	"slices"

	"github.com/rs/zerolog"

	"github.com/gearman-manager/gearman-manager/internal/logging"
)

// ControlsRemembered says that something was set by hand before the manager was
// restarted, and is still.
type ControlsRemembered struct {
	Scaled  map[string]int // slots by function, or by name of a shared pool
	Paused  []string       // functions
	Drained []string       // functions
}

// Name is "controls_remembered".
func (ControlsRemembered) Name() string { return "controls_remembered" }

// About says what it is about.
func (ControlsRemembered) About() About { return About{} }

func (e ControlsRemembered) log(log zerolog.Logger) {
	var scaled []string
	for _, name := range slices.Sorted(maps.Keys(e.Scaled)) {
		scaled = append(scaled, fmt.Sprintf("%s=%d", name, e.Scaled[name]))
	}
	log = always(log)
	log.Info().Func(func(line *zerolog.Event) {
		texts(line, "scaled", scaled)
		texts(line, "paused", e.Paused)
		texts(line, "drained", e.Drained)
	}).Str(logging.FieldDetail, "resume ends pauses and drains; a change of the config ends scalings").Msg("scalings and pauses remembered from before")
}

// texts adds a field unless it is empty.
func texts(line *zerolog.Event, key string, values []string) {
	if len(values) > 0 {
		line.Strs(key, values)
	}
}
