package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"
)

// helpWidth is where help breaks its lines.
const helpWidth = 80

func helpCommand() command {
	return command{
		name: "help", args: "[COMMAND]", complete: completeCommand, short: "explain the program, or one of its commands",
		define: func(*pflag.FlagSet) action { return showHelp },
	}
}

func showHelp(_ context.Context, std *streams, args []string) error {
	if len(args) == 0 {
		return manageCommand().help(std.out)
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c.help(std.out)
		}
	}
	return &usageError{problem: fmt.Sprintf("no help for %q, which is no command; there are %s", args[0], strings.Join(commandNames(), ", "))}
}

// help writes what the command is for, its flags, and for the manager itself the
// other commands.
func (c command) help(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\nUsage:\n", strings.TrimSpace(programName+" "+c.name), c.short)
	fmt.Fprintf(&b, "  %s\n", strings.Join(strings.Fields(programName+" "+c.name+" [FLAGS] "+c.args), " "))
	if c.name == "" {
		fmt.Fprintf(&b, "  %s COMMAND [FLAGS] [ARGUMENTS]\n\nCommands:\n", programName)
		for _, other := range commands() {
			helpEntry(&b, other.name, other.short)
		}
	}
	b.WriteString("\nFlags:\n")
	fs, _ := c.flags()
	fs.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			helpEntry(&b, helpFlag(f), helpText(f))
		}
	})
	if c.long != "" {
		b.WriteString("\n" + strings.TrimSpace(c.long) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// helpFlag shows a flag as it is written.
func helpFlag(f *pflag.Flag) string {
	name := "    --" + f.Name
	if f.Shorthand != "" {
		name = "-" + f.Shorthand + ", --" + f.Name
	}
	switch value, _ := pflag.UnquoteUsage(f); {
	case f.Value.Type() == "bool" || f.Value.Type() == "count":
		return name
	case f.NoOptDefVal != "":
		return name + "[=" + value + "]"
	default:
		return name + " " + value
	}
}

// helpText is a flag's description with its default.
func helpText(f *pflag.Flag) string {
	_, text := pflag.UnquoteUsage(f)
	switch f.DefValue {
	case "", "0", "0s", "false", "[]":
		return text
	default:
		return fmt.Sprintf("%s (default %s)", text, f.DefValue)
	}
}

// helpEntry writes a name and its description, side by side where the name is
// short enough.
func helpEntry(b *strings.Builder, name, text string) {
	const column = 30
	lines := wrap(text, helpWidth-column)
	head := fmt.Sprintf("  %-*s", column-2, name)
	if len(name) > column-4 {
		fmt.Fprintf(b, "  %s\n", name)
		head = strings.Repeat(" ", column)
	}
	for _, l := range lines {
		b.WriteString(strings.TrimRight(head+l, " ") + "\n")
		head = strings.Repeat(" ", column)
	}
}

// wrap breaks a text into lines of at most width letters, where words allow.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(lines, line)
}
