package manager

import (
	"errors"
	"io/fs"
	"os/exec"
	"path/filepath"
	"syscall"
	"unicode/utf8"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/trust"
)

// errNoProgram and its like end a sentence that begins with the name of a program.
var (
	errNoProgram     = errors.New("is not there")
	errNotFound      = errors.New("is not on the PATH")
	errNotExecutable = errors.New("may not be executed")
	errIsDirectory   = errors.New("is a directory")
)

// findCommand returns the absolute path of the first word of a command line, looked up on the PATH when it has no slash.
func findCommand(name string) (string, error) {
	path, err := exec.LookPath(name)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "", errNotFound
	case errors.Is(err, fs.ErrNotExist):
		return "", errNoProgram
	case errors.Is(err, fs.ErrPermission):
		return "", errNotExecutable
	case errors.Is(err, syscall.EISDIR):
		return "", errIsDirectory
	case err != nil:
		return "", err //nolint:wrapcheck // it names the program, and so does the caller
	}
	return filepath.Abs(path) //nolint:wrapcheck // it fails only without a working directory
}

// trusted reports whether only its owner and group can change a file, or put another one in its place, and notes it when not.
func (s *scan) trusted(path string, origin config.Origin) bool {
	err := trust.Check(path)
	if writable, ok := errors.AsType[*trust.WritableError](err); ok {
		s.note(config.Error, origin, "%v", writable)
		return false
	}
	if err != nil {
		s.note(config.Error, origin, "the file %s cannot be read (%v), want a worker", path, err)
	}
	return err == nil
}

// sayable reports whether what belongs to an executable can be told to its worker, which takes UTF-8 only, and notes it when not. One that
// cannot would keep every other of its pool from being told.
func (s *scan) sayable(origin config.Origin, texts ...string) bool {
	for _, text := range texts {
		if !utf8.ValidString(text) {
			s.note(config.Error, origin, "%q is not run: it is not in UTF-8, want a name and arguments that are", text)
			return false
		}
	}
	return true
}
