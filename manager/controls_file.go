package manager

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// controlsName is the file of what operators have set, in the state directory.
const controlsName = "controls.json"

// controlsVersion is the version of its format. A file of another one is not read.
const controlsVersion = 1

// maxSlots is how many slots a pool may be scaled to.
const maxSlots = 100_000

// controlsFile is that file.
type controlsFile struct {
	Version int            `json:"version"`
	Config  string         `json:"config"`  // of which the scales are; see belong
	Scales  []controlsSlot `json:"scales"`  // by name
	Paused  []string       `json:"paused"`  // functions, by name
	Drained []string       `json:"drained"` // functions, by name
}

// controlsSlot is the number of slots of a function, or of a shared pool.
type controlsSlot struct {
	Name  string `json:"name"`
	Slots int    `json:"slots"`
}

func (c *controls) encode() ([]byte, error) {
	slots := c.scales()
	out := controlsFile{
		Version: controlsVersion, Config: c.configOf(), Scales: []controlsSlot{},
		Paused: append([]string{}, c.paused()...), Drained: append([]string{}, c.drained()...),
	}
	for _, name := range slices.Sorted(maps.Keys(slots)) {
		out.Scales = append(out.Scales, controlsSlot{Name: name, Slots: slots[name]})
	}
	data, err := json.MarshalIndent(out, "", " ")
	return append(data, '\n'), err
}

// decodeControls reads such a file. Anything odd in it is an error: it is not one of ours
// then, or was damaged.
func decodeControls(data []byte) (controlsFile, error) {
	var in controlsFile
	decoder := json.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&in); err != nil {
		return in, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return in, errors.New("there is more behind it")
	}
	if in.Version != controlsVersion {
		return in, fmt.Errorf("it has version %d, want %d", in.Version, controlsVersion)
	}
	if len(in.Config) > maxField {
		return in, fmt.Errorf("the hash of the config is %d bytes long, want at most %d", len(in.Config), maxField)
	}
	var scaled []string
	for _, s := range in.Scales {
		if s.Slots < 0 || s.Slots > maxSlots {
			return in, fmt.Errorf("%.100q has %d slots, want 0 to %d", s.Name, s.Slots, maxSlots)
		}
		scaled = append(scaled, s.Name)
	}
	return in, errors.Join(checkNames(scaled), checkNames(in.Paused), checkNames(in.Drained))
}

// load takes over what is in a file.
func (c *controls) load(data []byte) (Event, error) {
	known, err := decodeControls(data)
	if err != nil {
		return nil, err
	}
	c.restore(known)
	e := ControlsRemembered{Scaled: c.scales(), Paused: c.paused(), Drained: c.drained()}
	if len(e.Scaled)+len(e.Paused)+len(e.Drained) == 0 {
		return nil, nil //nolint:nilnil // there is nothing to say
	}
	return e, nil
}

// checkNames refuses a list that cannot have been written.
func checkNames(names []string) error {
	if len(names) > maxControls {
		return fmt.Errorf("it has %d names in a list, want at most %d", len(names), maxControls)
	}
	seen := map[string]bool{}
	for _, name := range names {
		switch {
		case name == "" || len(name) > maxField:
			return fmt.Errorf("a name is %d bytes long, want 1 to %d", len(name), maxField)
		case seen[name]:
			return fmt.Errorf("%.100q is there twice", name)
		}
		seen[name] = true
	}
	return nil
}
