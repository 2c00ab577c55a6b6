package supervisor

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// Spec says what to start and with what.
type Spec struct {
	// Name is what errors and [Process.Name] call the process. Path if empty.
	Name string
	// Path is the file to execute: absolute, or relative to Dir. It is not
	// searched for in PATH.
	Path string
	// Argv0 is the name that the program is told it has, which ps shows. Path if
	// empty. The kernel replaces it by the interpreter's for a script.
	Argv0 string
	// Args are the arguments after the program's own name.
	Args []string
	// Env is the whole environment, as key=value. Nothing is inherited.
	Env []string
	// Dir is the working directory; that of this process if empty.
	Dir string
	// Stdin, Stdout and Stderr become descriptors 0, 1 and 2, and ExtraFiles
	// those from 3 on. A nil file is /dev/null. They have to stay open until Start
	// has returned, and remain the caller's to close. Start puts them into
	// blocking mode, as programs expect of them.
	Stdin, Stdout, Stderr *os.File
	ExtraFiles            []*os.File
	// Pdeathsig is the signal that the kernel sends to the process when this
	// process dies, however it does. None if zero. A program that is set-user-ID
	// or has file capabilities loses it.
	Pdeathsig syscall.Signal
	// KeepGroup spares the other members of the group: SIGKILL then goes to the
	// leader only, and what it has started lives on after its exit. It is for
	// programs whose work is to start daemons.
	KeepGroup bool
	// Limits hold from before Start returns; see there for the moment before.
	Limits Limits
}

func (s *Spec) name() string {
	if s.Name != "" {
		return s.Name
	}
	return s.Path
}

// check finds what no kernel would accept, in words that name the field.
func (s *Spec) check() error {
	if s.Path == "" {
		return errors.New("no path given")
	}
	for _, text := range [][]string{{s.Path, s.Argv0, s.Dir}, s.Args, s.Env} {
		for _, t := range text {
			if strings.IndexByte(t, 0) >= 0 {
				return fmt.Errorf("%q contains a NUL byte: %w", t, syscall.EINVAL)
			}
		}
	}
	return nil
}

func (s *Spec) argv() []string {
	argv := make([]string, 0, 1+len(s.Args))
	if s.Argv0 != "" {
		argv = append(argv, s.Argv0)
	} else {
		argv = append(argv, s.Path)
	}
	return append(argv, s.Args...)
}

// files returns the descriptors in the order of their numbers in the child.
func (s *Spec) files(null uintptr) []uintptr {
	fds := make([]uintptr, 0, 3+len(s.ExtraFiles))
	for _, f := range [...]*os.File{s.Stdin, s.Stdout, s.Stderr} {
		fds = append(fds, descriptor(f, null))
	}
	for _, f := range s.ExtraFiles {
		fds = append(fds, descriptor(f, null))
	}
	return fds
}

func descriptor(f *os.File, null uintptr) uintptr {
	if f == nil {
		return null
	}
	return f.Fd()
}

func (s *Spec) attr(null uintptr) *syscall.ProcAttr {
	return &syscall.ProcAttr{
		Dir:   s.Dir,
		Env:   s.Env,
		Files: s.files(null),
		Sys:   &syscall.SysProcAttr{Setpgid: true, Pdeathsig: s.Pdeathsig},
	}
}
