package cli

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/pflag"
)

// version is set by the linker (-X) when the program is built by make.
var version = ""

func versionCommand() command {
	return command{
		name: "version", short: "show the version",
		define: func(*pflag.FlagSet) action {
			return func(_ context.Context, std *streams, args []string) error {
				if err := noArguments(args); err != nil {
					return err
				}
				return showVersion(std)
			}
		},
	}
}

// showVersion writes the version of the program, and what it was built with and for.
func showVersion(std *streams) error {
	_, err := fmt.Fprintf(std.out, "%s %s (%s, %s/%s)\n", programName, Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// Version is the version of the program: what make put in, else what Go knows of
// the module, else "unknown".
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "unknown"
}
