package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/gearman-manager/gearman-manager/internal/control"
)

// logs shows what workers print and log.
type logs struct {
	reach  *reach
	follow bool
	json   bool
}

func logsCommand() command {
	return command{
		name: "logs", args: "[FUNCTION | WORKER]", complete: completeWorker, short: "show what workers print and log",
		long: `
The last lines of each worker that runs, of the pools of a function, or of one
worker, such as resize/1. With -f, all that they print and log from then on,
whatever is logged.
` + reachHelp + reachExit,
		define: func(fs *pflag.FlagSet) action {
			l := &logs{reach: addReach(fs)}
			fs.BoolVarP(&l.follow, "follow", "f", false, "Go on with what they print and log, until ctrl-C or the end of the manager.")
			fs.BoolVar(&l.json, "json", false, "Write each line as a JSON object on a line of its own.")
			return l.run
		},
	}
}

func (l *logs) run(ctx context.Context, std *streams, args []string) error {
	if len(args) > 1 || len(args) == 1 && args[0] == "" {
		return &usageError{problem: fmt.Sprintf("want the name of at most one function or worker, got %d", len(args))}
	}
	queries := []control.LogsQuery{{Follow: l.follow}}
	if len(args) == 1 {
		queries = logsOf(args[0], l.follow)
	}
	return l.reach.do(ctx, std, func(ctx context.Context, std *streams, client *control.Client) (err error) {
		for _, q := range queries {
			err = client.Logs(ctx, q, l.writer(std.out))
			if refused, ok := errors.AsType[*control.AnswerError](err); !ok || refused.Status != http.StatusNotFound {
				break
			}
		}
		return followed(ctx, l.follow, err)
	})
}

var workerName = regexp.MustCompile(`/\d+$`)

// logsOf asks for a name as what it is likely to be first: the name of a function may
// look like that of a worker.
func logsOf(name string, follow bool) []control.LogsQuery {
	of := control.LogsQuery{Function: name, Follow: follow}
	if workerName.MatchString(name) {
		return []control.LogsQuery{{Worker: name, Follow: follow}, of}
	}
	return []control.LogsQuery{of}
}

// writer writes lines for scripts or people.
func (l *logs) writer(w io.Writer) func(control.LogLine) error {
	if l.json {
		out := json.NewEncoder(w)
		out.SetEscapeHTML(false)
		return func(line control.LogLine) error { return out.Encode(line) }
	}
	return func(line control.LogLine) error {
		_, err := io.WriteString(w, logText(line)+"\n")
		return err
	}
}

// logText is a line for people.
func logText(l control.LogLine) string {
	if l.Missed > 0 {
		return fmt.Sprintf("… %s missing here", plural(l.Missed, "line is", "lines are"))
	}
	who := l.Worker
	if who == "" {
		who = l.Pool
	}
	parts := []string{who}
	if !l.At.IsZero() {
		parts = append(parts, l.At.Local().Format(time.TimeOnly))
	}
	if l.Stream == control.StreamLog && l.Level != "" {
		parts = append(parts, strings.ToUpper(l.Level))
	}
	return plain(strings.Join(append(parts, ""), " ")) + " " + logLineText(l.Text)
}

// logLineText is what a worker has written, in which tabs are harmless.
func logLineText(text string) string {
	fields := strings.Split(strings.TrimRight(text, "\r\n"), "\t")
	for i := range fields {
		fields[i] = plain(fields[i])
	}
	return strings.Join(fields, "\t")
}
