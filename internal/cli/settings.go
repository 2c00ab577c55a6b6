package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/logging"
)

// settings are the flags that GearmanManager has: the config file, and what
// stands above it. They are made from the config's own table of keys, so that
// neither flag nor help can differ from it.
type settings struct {
	file   string
	values []*settingValue
}

// settingValue is a flag that sets a key of the config file.
type settingValue struct {
	key  config.Key
	text string
	set  bool
}

// fileKey is the key whose flag names the config file itself.
const fileKey = "file"

// addSettings adds the flags; skip names keys that the command has no use for.
func addSettings(fs *pflag.FlagSet, skip ...string) *settings {
	s := &settings{}
	fs.StringVarP(&s.file, "config", "c", "", "The config `FILE`, an ini file or one in PHP. Flags win over what it says.")
	for _, k := range config.Keys() {
		if k.Flag == "" || k.Name == fileKey || k.Where == config.PerFunction || slices.Contains(skip, k.Name) {
			continue
		}
		v := &settingValue{key: k}
		s.values = append(s.values, v)
		f := fs.VarPF(v, strings.ReplaceAll(k.Name, "_", "-"), k.Flag, settingUsage(k))
		switch {
		case k.Type == config.Bool:
			f.NoOptDefVal = "on"
		case k.Name == verboseKey:
			f.NoOptDefVal = "+1"
		}
	}
	return s
}

// verboseKey is the key whose flag counts.
const verboseKey = "verbose"

// settingUsage is the help of a flag.
func settingUsage(k config.Key) string {
	text := k.Doc
	if k.Name == verboseKey {
		text += " -v is INFO, -vv PROC, -vvv WORKER, -vvvv DEBUG, -vvvvv CRAZY."
	}
	if k.NotYet != "" {
		text += " This " + k.NotYet + "."
	}
	if k.Default != "" && k.Type != config.Bool {
		text += fmt.Sprintf(" Default: %s.", strings.TrimSpace(k.Default+" "+defaultUnit(k)))
	}
	return text
}

// defaultUnit is the unit of a default that is not merely off.
func defaultUnit(k config.Key) string {
	if k.Default == "0" {
		return ""
	}
	return k.Unit
}

// Set takes the flag's value; config checks it.
func (v *settingValue) Set(text string) error {
	v.set = true
	if v.key.Name == verboseKey && text == "+1" {
		text = nextVerbosity(v.text)
	}
	v.text = text
	return nil
}

// nextVerbosity counts -v; more than -vvvvv is no more.
func nextVerbosity(text string) string {
	n := 0
	_, _ = fmt.Sscan(text, &n) // nothing is 0
	return fmt.Sprint(min(n+1, logging.MaxVerbosity))
}

// String is the flag's default, which help says in its own words.
func (v *settingValue) String() string { return "" }

// Type names the flag's value in help.
func (v *settingValue) Type() string {
	if v.key.Name == verboseKey {
		return "count"
	}
	switch v.key.Type {
	case config.Bool:
		return "bool"
	case config.Seconds:
		return "SECONDS"
	case config.Microseconds:
		return "MICROSECONDS"
	case config.Number:
		return "N"
	case config.PathList:
		return "DIR,…"
	case config.HostList:
		return "HOST,…"
	case config.Path:
		return "FILE"
	case config.Text:
		return "NAME"
	case config.NameList, config.Choice, config.Size, config.Command:
	}
	return "VALUE"
}

// load reads the config file and puts the flags on top; see loadConfig for the error.
func (s *settings) load(ctx context.Context, std *streams) (*config.Config, []config.Problem, error) {
	return loadConfig(ctx, std, s.file, s.overrides())
}

// overrides are the flags that were given.
func (s *settings) overrides() (overrides config.Overrides) {
	for _, v := range s.values {
		if v.set {
			overrides = append(overrides, config.Override{Flag: "-" + v.key.Flag, Key: v.key.Name, Value: v.text})
		}
	}
	return overrides
}

// logFlags are the flags of commands that log.
type logFlags struct{ format string }

func addLogFlags(fs *pflag.FlagSet) *logFlags {
	l := &logFlags{}
	fs.StringVar(&l.format, "log-format", string(logging.Auto), "How log lines look: `FORMAT` is auto (lines for people, colored on a terminal), console (without colors) or json.")
	return l
}

// logger makes the logger of a command.
func (l *logFlags) logger(std *streams, verbosity int) (zerolog.Logger, error) {
	log, err := logging.New(logging.Config{Out: std.err, Format: logging.Format(l.format), Verbosity: verbosity})
	if err != nil {
		return log, &usageError{problem: err.Error()}
	}
	return log, nil
}

// verbosityHelp explains -v for the help of commands.
const verbosityHelp = `
Verbosity:
  none           what is wrong, and start and stop
  -v      INFO   and how the fleet and its workers come and go
  -vv     PROC   and every process and connection
  -vvv    WORKER and every job
  -vvvv   DEBUG  and what workers log for their authors
  -vvvvv  CRAZY  everything
`

// exitHelp explains the exit codes that every command has.
const exitHelp = `
Exit codes:
  0    done
  1    it did not work
  2    the command line makes no sense
`
