package manager

import (
	"bufio"
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/gearman-manager/gearman-manager/plugins"
)

const (
	// modulePath is the module that a plugin's build info names, as its own or as a dependency.
	modulePath = "github.com/gearman-manager/gearman-manager"
	// managerPath is the main package of the manager's own binary, which holds the marker too.
	managerPath = modulePath + "/cmd/gearman-manager"
	// pluginMarker stands in the data of each program that serves as a plugin.
	pluginMarker = plugins.Marker
)

// binary says what an executable file was recognised as.
type binary int

const (
	// binaryOther is anything that is not one of ours.
	binaryOther binary = iota
	// binaryPlugin is a Go program that serves as a plugin.
	binaryPlugin
	// binaryManager is the manager itself.
	binaryManager
)

// recognise looks into an executable file without running it.
func recognise(path string) (binary, error) {
	file, err := os.Open(path)
	if err != nil {
		return binaryOther, fmt.Errorf("open program: %w", err)
	}
	defer file.Close() //nolint:errcheck // nothing was written to it
	info, err := buildinfo.Read(file)
	if err != nil {
		return binaryOther, nil // a file without build info is no Go program, which is no error
	}
	is := classify(info)
	if is != binaryPlugin {
		return is, nil
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return binaryOther, fmt.Errorf("read program: %w", err)
	}
	found, err := contains(file, []byte(pluginMarker))
	if err != nil {
		return binaryOther, fmt.Errorf("read program: %w", err)
	}
	if !found {
		return binaryOther, nil
	}
	return binaryPlugin, nil
}

// classify says what a Go program may be by its build info. A plugin still has to hold the marker: other programs of our module, and
// programs that only use our client, do not.
func classify(info *buildinfo.BuildInfo) binary {
	if info.Path == managerPath {
		return binaryManager
	}
	names := func(m *debug.Module) bool { return m.Path == modulePath }
	if names(&info.Main) || slices.ContainsFunc(info.Deps, names) {
		return binaryPlugin
	}
	return binaryOther
}

// contains reports whether the bytes stand anywhere in what r reads.
func contains(r io.Reader, wanted []byte) (bool, error) {
	const chunk = 1 << 16
	buffer := make([]byte, 0, chunk+len(wanted))
	for {
		n, err := io.ReadFull(r, buffer[len(buffer):len(buffer)+chunk])
		buffer = buffer[:len(buffer)+n]
		if bytes.Contains(buffer, wanted) {
			return true, nil
		}
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return false, nil
		case err != nil:
			return false, err //nolint:wrapcheck // the caller says what was read
		}
		kept := copy(buffer, buffer[len(buffer)-len(wanted)+1:])
		buffer = buffer[:kept]
	}
}

// head is the beginning of a file.
type head []byte

// readHead reads as much of a file as the kernel looks at to run it, and a little more.
func readHead(path string) (head, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open program: %w", err)
	}
	defer file.Close() //nolint:errcheck // nothing was written to it
	line, err := bufio.NewReaderSize(io.LimitReader(file, 4096), 4096).ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read program: %w", err)
	}
	return line, nil
}

// elf reports whether it is the beginning of a binary.
func (h head) elf() bool { return bytes.HasPrefix(h, []byte(elf.ELFMAG)) }

// runnable reports whether it is the beginning of a binary or of a script.
func (h head) runnable() bool {
	return h.elf() || bytes.HasPrefix(h, []byte("#!"))
}

// fault says why the kernel would not run a file that begins so; empty when it would.
func (h head) fault() string {
	switch {
	case len(h) == 0:
		return "is empty, want a program"
	case h.elf():
		return ""
	case !bytes.HasPrefix(h, []byte("#!")):
		return "is neither a binary nor a script with an interpreter, want a first line such as #!/bin/sh"
	}
	text := strings.TrimSuffix(string(h[2:]), "\n")
	if strings.HasSuffix(text, "\r") {
		return "has a carriage return at the end of its #! line, want Unix line ends"
	}
	return interpreterFault(strings.Fields(text))
}

// interpreterFault says what is wrong with the words of a #! line.
func interpreterFault(words []string) string {
	if len(words) == 0 {
		return "has no interpreter in its #! line, want a first line such as #!/bin/sh"
	}
	if info, err := os.Stat(words[0]); err != nil || info.IsDir() {
		return fmt.Sprintf("wants the interpreter %s, which is not there, want it installed", words[0])
	}
	if filepath.Base(words[0]) == "env" && len(words) == 2 && !strings.HasPrefix(words[1], "-") && !strings.Contains(words[1], "=") {
		if _, err := exec.LookPath(words[1]); err != nil {
			return fmt.Sprintf("wants the interpreter %s, which is not on the PATH, want it installed", words[1])
		}
	}
	return ""
}

// elfFault says why a binary cannot be run: commonly since its copy is not
// complete.
func elfFault(path string) string {
	const incomplete = "is an incomplete binary, want it copied whole"
	info, err := os.Stat(path)
	if err != nil {
		return "cannot be read: " + err.Error()
	}
	file, err := elf.Open(path)
	if err != nil {
		return incomplete + " (" + err.Error() + ")"
	}
	defer file.Close()          //nolint:errcheck // nothing was written to it
	size := uint64(info.Size()) //nolint:gosec // a size is not negative
	for _, part := range file.Progs {
		if part.Off+part.Filesz > size {
			return incomplete
		}
	}
	for _, part := range file.Sections {
		if part.Type != elf.SHT_NOBITS && part.Type != elf.SHT_NULL && part.Offset+part.FileSize > size {
			return incomplete
		}
	}
	return ""
}
