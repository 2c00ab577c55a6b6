package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/gearman-manager/gearman-manager/internal/control"
)

// logLevel shows and sets how much is logged.
type logLevel struct {
	reach *reach
	json  bool
}

func logLevelCommand() command {
	return command{
		name: "log-level", args: "[FUNCTION] [LEVEL]", complete: completeLevel, short: "show or set how much is logged, at run time",
		long: `
A level is a number, as many as -v are given to the manager, or a name:
  0  error, warning   what is wrong, and start and stop
  1  info             and how the fleet and its workers come and go
  2  proc             and every process and connection
  3  worker           and every job
  4  debug            and what workers log for their authors
  5  crazy            everything
"default" takes away what was set. Without a level it is shown. A single word
that is a level is one; a function of that name needs a level behind it. What is
set holds until the manager ends.
` + reachHelp + reachExit,
		define: func(fs *pflag.FlagSet) action {
			l := &logLevel{reach: addReach(fs)}
			fs.BoolVar(&l.json, "json", false, "Write how much is logged as one JSON object.")
			return l.run
		},
	}
}

// defaultLevel takes away what was set.
const defaultLevel = -1

// levelNames are the names of the levels; the first one of each is what is shown.
func levelNames() [][]string {
	return [][]string{{"error", "warn", "warning"}, {"info"}, {"proc"}, {"worker"}, {"debug"}, {"crazy", "trace"}}
}

// parseLevel reads a level.
func parseLevel(text string) (level int, ok bool) {
	text = strings.ToLower(text)
	if text == "default" {
		return defaultLevel, true
	}
	for level, names := range levelNames() {
		if text == strconv.Itoa(level) || slices.Contains(names, text) {
			return level, true
		}
	}
	return 0, false
}

// levelText is a level for people.
func levelText(level int) string {
	if names := levelNames(); level >= 0 && level < len(names) {
		return fmt.Sprintf("%d (%s)", level, names[level][0])
	}
	return strconv.Itoa(level)
}

func (l *logLevel) run(ctx context.Context, std *streams, args []string) error {
	set, function, err := parseLevelArgs(args)
	if err != nil {
		return err
	}
	return l.reach.do(ctx, std, func(ctx context.Context, std *streams, client *control.Client) error {
		get := client.LogLevels
		switch {
		case set != nil:
			get = func(ctx context.Context) (control.LogLevels, error) { return client.SetLogLevel(ctx, *set) }
		case function != "":
			if _, err := client.StatusOf(ctx, control.StatusQuery{Function: function}); err != nil {
				return err // there is no such function
			}
		}
		levels, err := get(ctx)
		switch {
		case err != nil:
			return err
		case l.json:
			return writeJSON(std.out, levels)
		default:
			return writeLevels(std.out, levels, function)
		}
	})
}

// noLevel is the error of a word that is none.
func noLevel(word string) error {
	return &usageError{problem: fmt.Sprintf("%q is no level, want 0 to 5, error, info, proc, worker, debug, crazy or default", word)}
}

// parseLevelArgs reads what is to be set, nil for nothing, and whose level is shown.
func parseLevelArgs(args []string) (set *control.LogLevelRequest, function string, err error) {
	if len(args) > 2 {
		return nil, "", &usageError{problem: fmt.Sprintf("want at most a function and a level, got %d arguments", len(args))}
	}
	if len(args) == 0 {
		return nil, "", nil
	}
	level, ok := parseLevel(args[len(args)-1])
	switch {
	case !ok && len(args) == 2:
		return nil, "", noLevel(args[1])
	case !ok && strings.Trim(args[0], "-0123456789") == "":
		return nil, "", noLevel(args[0])
	case !ok:
		return nil, args[0], nil
	case len(args) == 2:
		function = args[0]
	}
	return &control.LogLevelRequest{Function: function, Verbosity: level}, function, nil
}

// writeLevels writes levels for people: of one function, or all.
func writeLevels(w io.Writer, l control.LogLevels, function string) error {
	var b strings.Builder
	if function == "" {
		fmt.Fprintf(&b, "the fleet: %s\n", levelText(l.Verbosity))
	}
	found := false
	for _, f := range l.Functions {
		if function == "" || f.Function == function {
			found = true
			fmt.Fprintf(&b, "%s: %s\n", plain(f.Function), levelText(f.Verbosity))
		}
	}
	if function != "" && !found {
		fmt.Fprintf(&b, "%s: %s, as the fleet\n", plain(function), levelText(l.Verbosity))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
