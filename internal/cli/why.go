package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"github.com/gearman-manager/gearman-manager/internal/control"
)

// why says what holds a function back.
type why struct {
	reach *reach
	json  bool
}

func whyCommand() command {
	return command{
		name: "why", args: "FUNCTION", complete: completeFunction, short: "say what holds a function back",
		long: `
The most important reason comes first; one with ! keeps all its jobs from being
performed. Below is what each job server says of the function: jobs that wait,
jobs that are performed, and connections that offer it, those of other machines
too; ? is what it did not say.
` + reachHelp + reachExit,
		define: func(fs *pflag.FlagSet) action {
			w := &why{reach: addReach(fs)}
			fs.BoolVar(&w.json, "json", false, "Write it as one JSON object.")
			return w.run
		},
	}
}

func (w *why) run(ctx context.Context, std *streams, args []string) error {
	function, err := oneFunction(args)
	if err != nil {
		return err
	}
	return w.reach.do(ctx, std, func(ctx context.Context, std *streams, client *control.Client) error {
		got, err := client.Why(ctx, function)
		switch {
		case err != nil:
			return err
		case w.json:
			return writeJSON(std.out, got)
		default:
			return writeWhy(std.out, got)
		}
	})
}

// writeWhy writes reasons for people.
func writeWhy(w io.Writer, y control.Why) error {
	var b strings.Builder
	for _, r := range y.Reasons {
		mark := " "
		if r.Blocks {
			mark = "!"
		}
		fmt.Fprintf(&b, "%s %s\n", mark, plain(r.Message))
	}
	if len(y.Reasons) == 0 {
		fmt.Fprintf(&b, "  nothing holds %s back\n", plain(y.Function))
	}
	if _, err := io.WriteString(w, b.String()+"\n"); err != nil {
		return err
	}
	rows := [][]string{{"SERVER", "QUEUED", "RUNNING", "WORKERS", "ERROR"}}
	for _, q := range y.Servers {
		rows = append(rows, []string{q.Server, numberText(q.Queued), numberText(q.Running), numberText(q.Workers), q.Error})
	}
	return writeTable(w, rows)
}

// numberText is a number for people that may not be known.
func numberText(n *int) string {
	if n == nil {
		return "?"
	}
	return fmt.Sprint(*n)
}
