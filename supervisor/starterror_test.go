package supervisor_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gearman-manager/gearman-manager/supervisor"
)

// file writes a program that cannot be executed, and returns its path.
func file(t *testing.T, content string, mode fs.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestStartErrorsNameTheReason(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink("/nonexistent/target", link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		spec supervisor.Spec
		err  error
		want string
	}{
		{"no path", supervisor.Spec{Name: "x"}, nil, "start x: no path given"},
		{"NUL", supervisor.Spec{Name: "x", Path: "/bin/true", Args: []string{"a\x00b"}}, syscall.EINVAL, "NUL byte"},
		{"missing", supervisor.Spec{Name: "resize/3", Path: "/nonexistent"}, fs.ErrNotExist, "start resize/3: /nonexistent: no such file"},
		{"no name", supervisor.Spec{Path: "/nonexistent"}, fs.ErrNotExist, "start /nonexistent: no such file"},
		{"link", supervisor.Spec{Path: link}, fs.ErrNotExist, `is a symbolic link to "/nonexistent/target", which does not exist`},
		{"directory", supervisor.Spec{Path: dir}, fs.ErrPermission, "is a directory"},
		{"device", supervisor.Spec{Path: os.DevNull}, fs.ErrPermission, "is no regular file"},
		{"file as directory", supervisor.Spec{Path: "/etc/passwd/x"}, syscall.ENOTDIR, "not a directory"},
		{
			"not executable",
			supervisor.Spec{Path: file(t, "#!/bin/sh\n", 0o644)},
			fs.ErrPermission, "is not executable (mode -rw-r--r--)",
		},
		{"no shebang", supervisor.Spec{Path: file(t, "echo\n", 0o755)}, syscall.ENOEXEC, "neither a binary nor a script that begins with #!"},
		{"empty", supervisor.Spec{Path: file(t, "", 0o755)}, syscall.ENOEXEC, "is empty"},
		{"bare shebang", supervisor.Spec{Path: file(t, "#! \n", 0o755)}, syscall.ENOEXEC, "names no interpreter"},
		{
			"interpreter missing",
			supervisor.Spec{Path: file(t, "#! /nonexistent/php -q\n", 0o755)},
			fs.ErrNotExist, `the interpreter "/nonexistent/php" in its first line does not exist`,
		},
		{
			"interpreter with CR",
			supervisor.Spec{Path: file(t, "#!/bin/sh\r\necho\r\n", 0o755)},
			fs.ErrNotExist, "ends as on Windows",
		},
		{
			"interpreter not executable",
			supervisor.Spec{Path: file(t, "#!/etc/passwd\n", 0o755)},
			fs.ErrPermission, `the interpreter "/etc/passwd" in its first line is not executable`,
		},
		{"other machine", supervisor.Spec{Path: file(t, elfHeader(t), 0o755)}, syscall.ENOEXEC, "is a binary for another machine"},
		{"loader missing", supervisor.Spec{Path: withLoader(t)}, fs.ErrNotExist, `its dynamic loader "/lib`},
		{"no directory", supervisor.Spec{Path: "/bin/true", Dir: "/nonexistent"}, fs.ErrNotExist, `no working directory "/nonexistent"`},
		{"file for directory", supervisor.Spec{Path: "/bin/true", Dir: "/etc/passwd"}, syscall.ENOTDIR, `working directory "/etc/passwd" is no directory`},
		{
			"too long",
			supervisor.Spec{Path: "/bin/true", Args: []string{strings.Repeat("x", 1<<20)}},
			syscall.E2BIG, "arguments and environment are too long",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, err := shared.Start(c.spec)
			if p != nil || err == nil {
				t.Fatal("it runs")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, want %q", err, c.want)
			}
			if c.err != nil && !errors.Is(err, c.err) {
				t.Errorf("%v is no %v", err, c.err)
			}
			var start *supervisor.StartError
			if !errors.As(err, &start) || start.Path != c.spec.Path {
				t.Errorf("not a StartError that names the file: %#v", err)
			}
		})
	}
}

func TestAProgramThatIsBeingWritten(t *testing.T) {
	t.Parallel()
	program := copyOf(t, "/bin/true", nil)
	w, err := os.OpenFile(program, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = shared.Start(supervisor.Spec{Path: program})
	_ = w.Close()
	if !errors.Is(err, syscall.ETXTBSY) || !strings.Contains(err.Error(), program+": is being written") {
		t.Errorf("got %v", err)
	}
}

// elfHeader is the beginning of a binary for a machine that does not exist.
func elfHeader(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	head := append([]byte{}, data[:256]...)
	head[18], head[19] = 0xfe, 0xfe // e_machine
	return string(head)
}

// withLoader is a binary whose dynamic loader does not exist.
func withLoader(t *testing.T) string {
	t.Helper()
	return copyOf(t, "/bin/true", func(s string) string {
		return strings.ReplaceAll(s, "ld-linux", "ld-xxxxx")
	})
}

func copyOf(t *testing.T, path string, edit func(string) string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	if edit != nil {
		text = edit(text)
	}
	return file(t, text, 0o755)
}

func FuzzParseStat(f *testing.F) {
	own, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(own)
	f.Add([]byte("1 (a) b) (c) S 0 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 77 0"))
	f.Add([]byte("1 (a"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		start, err := supervisor.ParseStat(data)
		if err != nil && start != 0 {
			t.Errorf("%q: %d and %v", data, start, err)
		}
	})
}

func TestStatOfAProgramWithAnOddName(t *testing.T) {
	t.Parallel()
	data := "1 (a) b) (c) S 0 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 77 0"
	if got, err := supervisor.ParseStat([]byte(data)); got != 77 || err != nil {
		t.Errorf("got %d, %v", got, err)
	}
}
