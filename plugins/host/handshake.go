package host

import (
	"io"
	"strconv"
	"strings"

	goplugin "github.com/hashicorp/go-plugin"

	"github.com/gearman-manager/gearman-manager/internal/quote"
	"github.com/gearman-manager/gearman-manager/plugins"
)

// handshakeLine is what go-plugin reads as the standard output of a plugin: the
// first line, then the end.
type handshakeLine struct {
	lines chan string // 1 buffered; closed after the first line, or at the program's end
	seen  bool        // used by the goroutine that reads the output; by others after the program's end
	text  string      // as seen
	rest  []byte      // used by the reader
}

func newHandshakeLine() *handshakeLine { return &handshakeLine{lines: make(chan string, 1)} }

// take is given the first line of the output.
func (h *handshakeLine) take(line []byte) {
	h.seen, h.text = true, string(line)
	h.lines <- h.text + "\n"
	close(h.lines)
}

// end is called when no further line can come.
func (h *handshakeLine) end() {
	if !h.seen {
		close(h.lines)
	}
}

// Read gives the first line and then io.EOF.
func (h *handshakeLine) Read(p []byte) (int, error) {
	if len(h.rest) == 0 {
		line, ok := <-h.lines
		if !ok {
			return 0, io.EOF
		}
		h.rest = []byte(line)
	}
	n := copy(p, h.rest)
	h.rest = h.rest[n:]
	return n, nil
}

// Close does nothing; the line ends by itself.
func (*handshakeLine) Close() error { return nil }

// checkHandshake looks at a program's first line. go-plugin reads it too, but its
// errors are one text for all causes.
func checkHandshake(path, line string) error {
	core, version, ok := parseHandshake(line)
	if !ok || core != goplugin.CoreProtocolVersion {
		return &HandshakeError{Path: path, Line: quote.Line(line)}
	}
	if version != plugins.ContractVersion {
		return &VersionError{Path: path, Plugin: version, Manager: plugins.ContractVersion}
	}
	return nil
}

// parseHandshake reads "core|version|network|address|protocol|…".
func parseHandshake(line string) (core, version int, ok bool) {
	parts := strings.Split(strings.TrimSpace(line), "|")
	if len(parts) < 4 {
		return 0, 0, false
	}
	core, err1 := strconv.Atoi(parts[0])
	version, err2 := strconv.Atoi(parts[1])
	return core, version, err1 == nil && err2 == nil
}
