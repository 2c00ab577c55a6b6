package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/manager"
)

// migration says when check tells what is different from GearmanManager.
type migration string

// The values of --migration.
const (
	migrationAuto   migration = "auto"
	migrationAlways migration = "always"
	migrationNever  migration = "never"
)

// addMigration adds the flag.
func addMigration(fs *pflag.FlagSet, m *migration) {
	*m = migrationAuto
	f := fs.VarPF(m, "migration", "", "Say what is different from GearmanManager: `WHEN` is always, which may be left out; never; or auto: if there are PHP workers and no key is set that GearmanManager did not have, those of php aside.")
	f.NoOptDefVal = string(migrationAlways)
}

// Set takes the flag's value.
func (m *migration) Set(text string) error {
	allowed := []migration{migrationAuto, migrationAlways, migrationNever}
	if !slices.Contains(allowed, migration(text)) {
		return fmt.Errorf("want auto, always or never")
	}
	*m = migration(text)
	return nil
}

// String is the flag's value.
func (m *migration) String() string { return string(*m) }

// Type is what pflag calls the value.
func (m *migration) Type() string { return "WHEN" }

// notes returns what is to be told of a config, which may be nil.
func (m migration) notes(cfg *config.Config, plan *manager.Plan) []config.Note {
	auto := m == migrationAuto || m == ""
	if cfg == nil || m == migrationNever || auto && (!plan.HasPHP() || cfg.HasOwnKeys()) {
		return nil
	}
	return manager.MigrationNotes(cfg, plan)
}

// writeMigration tells it to people.
func writeMigration(w io.Writer, notes []config.Note) error {
	if len(notes) == 0 {
		return nil
	}
	var b strings.Builder
	b.WriteString("\nDifferent from GearmanManager (--migration=never leaves this out):\n")
	for _, same := range together(notes) {
		text, indent := sentence(same[0].What), "  "
		if same[0].Do != "" {
			text += " " + sentence(same[0].Do)
		}
		b.WriteString("\n")
		for _, n := range same {
			if place := n.Place(); place != "" {
				b.WriteString("  " + place + "\n")
				indent = "    "
			}
		}
		for _, line := range wrap(text, helpWidth-len(indent)) {
			b.WriteString(indent + line + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// together puts notes that say the same side by side, where the first of them is.
func together(notes []config.Note) (groups [][]config.Note) {
	for _, n := range notes {
		i := slices.IndexFunc(groups, func(g []config.Note) bool { return g[0].What == n.What && g[0].Do == n.Do })
		if i < 0 {
			groups = append(groups, []config.Note{n})
		} else {
			groups[i] = append(groups[i], n)
		}
	}
	return groups
}

// sentence makes a sentence of a text. What begins with the name of a key stays as
// it is.
func sentence(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	if word, _, _ := strings.Cut(text, " "); !strings.Contains(word, "_") {
		text = string(unicode.ToUpper(first)) + text[size:]
	}
	return text + "."
}
