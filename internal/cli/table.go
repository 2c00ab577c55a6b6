package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"github.com/gearman-manager/gearman-manager/internal/logging"
)

// writeJSON writes a value for scripts, and for people who look at it.
func writeJSON(w io.Writer, value any) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(value)
}

// writeTable writes rows for people, of which the first is the heading. On a terminal
// they are cut at its width.
func writeTable(w io.Writer, rows [][]string) error {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		cells := make([]string, 0, len(row))
		for _, cell := range row {
			cells = append(cells, plain(cell))
		}
		_, _ = fmt.Fprintln(t, strings.Join(cells, "\t")) // it is memory
	}
	_ = t.Flush()
	width, _ := terminalSize(w)
	_, err := io.WriteString(w, fit(b.String(), width))
	return err
}

// fit takes away the space at the ends of lines, and what is beyond a width; 0 is no
// limit.
func fit(text string, width int) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \n")
		if letters := []rune(line); width > 0 && len(letters) > width {
			line = string(letters[:width-1]) + "…"
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// sized is a writer that knows the terminal behind it.
type sized interface {
	size() (width, height int)
}

// terminalSize is the size of a terminal in letters, 0 of anything else.
func terminalSize(w io.Writer) (width, height int) {
	if s, ok := w.(sized); ok {
		return s.size()
	}
	f, ok := w.(*os.File)
	if !ok || !logging.IsTerminal(f) {
		return 0, 0
	}
	width, height, err := term.GetSize(int(f.Fd())) //nolint:gosec // a descriptor fits
	if err != nil {
		return 0, 0
	}
	return width, height
}

// plain makes a text of clients, workers and servers harmless for a terminal, and one
// line.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '\uFFFD'
		}
		return r
	}, text)
}

// firstOf is the first of some names; a pool has one at least.
func firstOf(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// count is a number for people.
func count(n *uint64) string {
	if n == nil {
		return "?"
	}
	return fmt.Sprint(*n)
}

// dash stands for what is empty.
func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// ago is how long before now something was, in whole seconds.
func ago(now, then time.Time) time.Duration { return max(0, now.Sub(then)).Truncate(time.Second) }

// brief is a duration with its two largest units at most: 2m10s, 3d4h, 350ms.
func brief(d time.Duration) string {
	const day = 24 * time.Hour
	switch d = max(0, d); {
	case d < time.Second:
		return d.Truncate(time.Millisecond).String()
	case d < 10*time.Second:
		return d.Truncate(100 * time.Millisecond).String()
	case d < time.Hour:
		return d.Truncate(time.Second).String()
	case d < day:
		return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
	default:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	}
}

// bytesText is a number of bytes with the largest unit that it fills: 12.3M.
func bytesText(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprint(n)
	}
	value, unit := float64(n)/1024, 0
	for value >= 1023.95 && unit < len(units)-1 {
		value, unit = value/1024, unit+1
	}
	return fmt.Sprintf("%.1f%c", value, units[unit])
}
