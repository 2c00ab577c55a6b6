package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/pflag"

	"github.com/gearman-manager/gearman-manager/config"
)

// command is one command of the program.
type command struct {
	name  string // empty for the manager itself
	args  string // what follows the flags, as help shows it
	short string // one line
	long  string // more, for its own help; may be empty
	// complete finds what a shell may put behind the flags; nil is nothing.
	complete completing
	// define adds the command's flags and returns what runs it once they are
	// parsed.
	define func(*pflag.FlagSet) action
}

// action runs a command with the arguments that are left after its flags.
type action func(ctx context.Context, std *streams, args []string) error

// commands is the table of commands, in the order of help.
func commands() []command {
	return []command{
		checkCommand(),
		statusCommand(),
		workersCommand(),
		whyCommand(),
		scaleCommand(),
		restartCommand(),
		reloadCommand(),
		pauseCommand(),
		drainCommand(),
		resumeCommand(),
		retryCommand(),
		quarantineCommand(),
		eventsCommand(),
		logsCommand(),
		logLevelCommand(),
		stopCommand(),
		jobCommand(),
		performCommand(),
		serverCommand(),
		demoCommand(),
		completionCommand(),
		versionCommand(),
		helpCommand(),
	}
}

func commandNames() []string {
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	return names
}

// flags returns the command's flags, help among them.
func (c command) flags() (*pflag.FlagSet, action) {
	fs := pflag.NewFlagSet(c.name, pflag.ContinueOnError)
	fs.Usage = func() {} // errors say what is wrong, help is asked for
	fs.SortFlags = false
	act := c.define(fs)
	fs.BoolP("help", "H", false, "Show this help.")
	return fs, act
}

// run parses the flags and runs the command, or shows its help.
func (c command) run(ctx context.Context, std *streams, args []string) error {
	fs, act := c.flags()
	err := fs.Parse(args)
	if errors.Is(err, pflag.ErrHelp) { // -h where it is not the host
		return c.help(std.out)
	}
	if err != nil {
		return c.usage(c.explain(err, fs))
	}
	if help, err := fs.GetBool("help"); err == nil && help {
		return c.help(std.out)
	}
	err = act(ctx, std, fs.Args())
	if e, ok := errors.AsType[*usageError](err); ok && e.command == "" {
		e.command = c.name
	}
	return err
}

// usage makes the error for a command line that makes no sense.
func (c command) usage(problem string) error {
	return &usageError{command: c.name, problem: problem}
}

// explain says what is wrong with a flag, and which one may have been meant.
func (c command) explain(err error, fs *pflag.FlagSet) string {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return err.Error()
	}
	if short := unknown.GetSpecifiedShortnames(); short != "" {
		return fmt.Sprintf("unknown flag -%s", unknown.GetSpecifiedName()[:1])
	}
	var names []string
	fs.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	problem := fmt.Sprintf("unknown flag --%s", unknown.GetSpecifiedName())
	if near := config.Nearest(unknown.GetSpecifiedName(), names); near != "" {
		problem += fmt.Sprintf("; did you mean --%s?", near)
	}
	return problem
}

// noArguments is the error of a command that takes none and got some.
func noArguments(args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if slices.Contains(commandNames(), args[0]) {
		hint = fmt.Sprintf("; a command comes first: %s %s …", programName, args[0])
	}
	return &usageError{problem: fmt.Sprintf("unexpected argument %q%s", args[0], hint)}
}
