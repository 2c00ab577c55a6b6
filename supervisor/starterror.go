package supervisor

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// StartError says which program could not be executed, or not be limited, and why.
type StartError struct {
	Name   string // of the Spec
	Path   string // of the program
	Reason string // what is wrong, in words
	Err    error  // what the kernel said: a syscall.Errno, if it was asked; a *LimitError for a limit
}

// Error names the process, the file and the reason.
func (e *StartError) Error() string {
	if e.Path == "" || e.Path == e.Name {
		return fmt.Sprintf("start %s: %s", e.Name, e.Reason)
	}
	return fmt.Sprintf("start %s: %s: %s", e.Name, e.Path, e.Reason)
}

// Unwrap returns what the kernel said, which fs.ErrNotExist and fs.ErrPermission
// can be compared with.
func (e *StartError) Unwrap() error { return e.Err }

// newStartError looks for the reason. The kernel gives one number for all steps
// from chdir to the interpreter's interpreter.
func newStartError(spec *Spec, err error) *StartError {
	return &StartError{Name: spec.name(), Path: spec.Path, Reason: reason(spec, err), Err: err}
}

func reason(spec *Spec, err error) string {
	if limit, ok := errors.AsType[*LimitError](err); ok {
		return limit.Error()
	}
	if text := badDir(spec.Dir); text != "" {
		return text
	}
	path := spec.Path
	if !filepath.IsAbs(path) {
		path = filepath.Join(spec.Dir, path)
	}
	switch {
	case errors.Is(err, unix.ENOENT):
		return whyNotFound(path)
	case errors.Is(err, unix.EACCES):
		return whyDenied(path)
	case errors.Is(err, unix.ENOEXEC):
		return whyNoFormat(path)
	case errors.Is(err, unix.ETXTBSY):
		return "is being written"
	case errors.Is(err, unix.E2BIG):
		return "arguments and environment are too long"
	case errors.Is(err, unix.ELIBBAD):
		return fmt.Sprintf("its dynamic loader %q is no program", head(path).loader)
	default:
		return err.Error()
	}
}

func badDir(dir string) string {
	if dir == "" {
		return ""
	}
	info, err := os.Stat(dir)
	if err == nil && info.IsDir() {
		if err := unix.Access(dir, unix.X_OK); err != nil {
			return fmt.Sprintf("cannot enter the working directory %q: %v", dir, err)
		}
		return ""
	}
	if err == nil {
		return fmt.Sprintf("the working directory %q is no directory", dir)
	}
	return fmt.Sprintf("no working directory %q: %v", dir, errors.Unwrap(err))
}

func whyNotFound(path string) string {
	if _, err := os.Stat(path); err != nil {
		if target, err := os.Readlink(path); err == nil {
			return fmt.Sprintf("is a symbolic link to %q, which does not exist", target)
		}
		return "no such file"
	}
	h := head(path)
	switch {
	case strings.HasSuffix(h.interpreter, "\r"):
		return fmt.Sprintf("the interpreter %q in its first line does not exist: the line ends as on Windows, in CR LF", h.interpreter)
	case h.interpreter != "":
		return fmt.Sprintf("the interpreter %q in its first line does not exist", h.interpreter)
	case h.loader != "":
		return fmt.Sprintf("its dynamic loader %q does not exist", h.loader)
	default:
		return "no such file, or no interpreter for it"
	}
}

func whyDenied(path string) string {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "permission denied: a directory above it may not be entered"
	case err != nil:
		return errors.Unwrap(err).Error()
	case info.IsDir():
		return "is a directory"
	case !info.Mode().IsRegular():
		return "is no regular file"
	case info.Mode()&0o111 == 0:
		return fmt.Sprintf("is not executable (mode %v)", info.Mode())
	case unix.Access(path, unix.X_OK) != nil:
		return fmt.Sprintf("permission denied (mode %v), or mounted noexec", info.Mode())
	}
	h := head(path)
	if h.interpreter != "" {
		return fmt.Sprintf("the interpreter %q in its first line is not executable", h.interpreter)
	}
	return "permission denied"
}

func whyNoFormat(path string) string {
	h := head(path)
	switch {
	case h.err != nil:
		return fmt.Sprintf("is in no format that can be executed here, and cannot be read: %v", h.err)
	case h.size == 0:
		return "is empty"
	case h.elf:
		return "is a binary for another machine"
	case h.interpreter != "":
		return fmt.Sprintf("the interpreter %q in its first line cannot be executed", h.interpreter)
	case h.shebang:
		return "its first line names no interpreter after #!"
	default:
		return "is neither a binary nor a script that begins with #! and its interpreter"
	}
}

// fileHead is what the beginning of a file says about how it is executed.
type fileHead struct {
	size        int
	shebang     bool
	interpreter string // of the #! line
	elf         bool
	loader      string // of the ELF program headers
	err         error
}

// headSize is how far the kernel looks for the end of the #! line:
// BINPRM_BUF_SIZE of linux/binfmts.h.
const headSize = 256

func head(path string) (h fileHead) {
	f, err := os.Open(path)
	if err != nil {
		return fileHead{err: errors.Unwrap(err)}
	}
	defer func() { _ = f.Close() }()
	buf := make([]byte, headSize)
	h.size, err = io.ReadFull(f, buf)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fileHead{err: err}
	}
	buf = buf[:h.size]
	if line, ok := bytes.CutPrefix(buf, []byte("#!")); ok {
		h.shebang, h.interpreter = true, interpreter(line)
		return h
	}
	if h.elf = bytes.HasPrefix(buf, []byte(elf.ELFMAG)); h.elf {
		h.loader = loader(f)
	}
	return h
}

// interpreter returns the first word of a line, as the kernel divides it: at
// blanks and tabs only.
func interpreter(line []byte) string {
	line, _, _ = bytes.Cut(line, []byte("\n"))
	line = bytes.TrimLeft(line, " \t")
	if end := bytes.IndexAny(line, " \t\x00"); end >= 0 {
		line = line[:end]
	}
	return string(line)
}

// loader returns the PT_INTERP of a binary.
func loader(r io.ReaderAt) string {
	file, err := elf.NewFile(r)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	for _, p := range file.Progs {
		if p.Type != elf.PT_INTERP || p.Filesz > unix.PathMax {
			continue
		}
		name := make([]byte, p.Filesz)
		if _, err := p.ReadAt(name, 0); err != nil {
			return ""
		}
		return string(bytes.TrimRight(name, "\x00"))
	}
	return ""
}
