package cli

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"
)

//go:embed completion/gearman-manager.bash
var bashCompletion string

//go:embed completion/gearman-manager.zsh
var zshCompletion string

//go:embed completion/gearman-manager.fish
var fishCompletion string

// shells are those that can complete, in the order of help.
func shells() []string { return []string{"bash", "zsh", "fish"} }

// completionScript is what a shell reads to complete; it asks the hidden command
// complete each time, so that it fits every version of the program.
func completionScript(shell string) (script string, ok bool) {
	switch shell {
	case "bash":
		return bashCompletion, true
	case "zsh":
		return zshCompletion, true
	case "fish":
		return fishCompletion, true
	default:
		return "", false
	}
}

func completionCommand() command {
	return command{
		name: "completion", args: strings.Join(shells(), "|"), complete: completeShell, short: "write what makes a shell complete commands",
		long: `
The shell completes commands, flags, files, and the names of functions and
workers of a manager that runs. For bash, in ~/.bashrc:
  source <(gearman-manager completion bash)
What is written says where zsh and fish look for it.
` + exitHelp,
		define: func(*pflag.FlagSet) action { return writeCompletion },
	}
}

func writeCompletion(_ context.Context, std *streams, args []string) error {
	if len(args) != 1 {
		return &usageError{problem: fmt.Sprintf("want the name of one shell, %s, got %d", strings.Join(shells(), ", "), len(args))}
	}
	script, ok := completionScript(args[0])
	if !ok {
		return &usageError{problem: fmt.Sprintf("no completion for %q, want %s", args[0], strings.Join(shells(), ", "))}
	}
	_, err := io.WriteString(std.out, script)
	return err
}
