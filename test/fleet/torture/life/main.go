// Command life is a worker for tests of a worker's life: its function act does
// what the first word of the workload says. The second is a file to which each
// run is noted, - for none, and the third an argument.
//
// A line of that file holds the process, the time in nanoseconds, and 1 if the
// process of the line before was still there, else 0. One that is about to end, and
// performs nothing any more, is not, nor one whose function has returned. act.sh beside it and act.php do the same.
//
// A program of this that ends in the word BROKEN dies before it is ready.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gearman-manager/gearman-manager/plugins"
)

func main() {
	s := &stage{}
	plugins.Serve(
		plugins.Init(breakDown),
		plugins.Func("act", s.act),
		plugins.Func("pid", pid),
		plugins.Func("alsopid", pid),
	)
}

// breakDown ends the process of a broken program.
func breakDown(context.Context) error {
	program, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer func() { _ = program.Close() }() // only read
	end := make([]byte, len("BROKEN"))
	if _, err := program.Seek(-int64(len(end)), io.SeekEnd); err != nil {
		return err
	}
	if _, err := io.ReadFull(program, end); err != nil {
		return err
	}
	if string(end) == "BROKEN" {
		fmt.Fprintln(os.Stderr, "this program is broken")
		os.Exit(4)
	}
	return nil
}

// pid takes the milliseconds in the workload and answers its process.
func pid(_ context.Context, job *plugins.Job) ([]byte, error) {
	ms, err := strconv.Atoi(string(job.Workload()))
	if err != nil {
		return nil, err
	}
	<-time.After(time.Duration(ms) * time.Millisecond)
	return strconv.AppendInt(nil, int64(os.Getpid()), 10), nil
}

// stage is what jobs leave behind in the process.
type stage struct{ leaked [][]byte }

// act does what the workload says.
func (s *stage) act(ctx context.Context, job *plugins.Job) ([]byte, error) {
	words := strings.Fields(string(job.Workload()))
	if len(words) < 2 {
		return nil, errors.New("want what to do, and a file")
	}
	argument := ""
	if len(words) > 2 {
		argument = words[2]
	}
	runs, err := note(words[1])
	if err != nil {
		return nil, err
	}
	switch words[0] {
	case "echo":
		return []byte(argument), nil
	case "once": // only the first run is slow
		if runs == 1 {
			sleep()
		}
		return []byte(strconv.Itoa(runs)), nil
	case "limits":
		return os.ReadFile("/proc/self/limits")
	case "leak":
		s.leaked = append(s.leaked, allocate(10<<20))
		return strconv.AppendInt(nil, int64(os.Getpid()), 10), nil
	}
	return s.misbehave(ctx, words[0], words[1])
}

// misbehave does what no job should.
func (s *stage) misbehave(ctx context.Context, word, file string) ([]byte, error) {
	switch word {
	case "sleep":
		select {
		case <-time.After(time.Minute):
			return []byte("slept"), nil
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), os.WriteFile(over(file, os.Getpid()), nil, 0o600))
		}
	case "deaf":
		sleep()
	case "busy":
		for n := 0; ; n++ { // as long as it may
			runtime.KeepAlive(n)
		}
	case "stuck":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP) // it cannot fail
		sleep()
	case "segv":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSEGV) // it cannot fail
		sleep()
	case "exit":
		os.Exit(3)
	case "grow": // until it may not
		for {
			s.leaked = append(s.leaked, allocate(16<<20))
			<-time.After(20 * time.Millisecond)
		}
	case "big":
		s.leaked = append(s.leaked, allocate(1<<30))
		sleep()
	}
	return nil, fmt.Errorf("what is %s?", word)
}

// sleep takes no notice of anything.
func sleep() { <-time.After(time.Minute) }

// allocate returns memory that is in use.
func allocate(size int) []byte {
	b := make([]byte, size)
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	return b
}

// note notes a run in a file and returns how many there are with it.
func note(file string) (int, error) {
	if file == "-" {
		return 0, nil
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }() // what matters is written
	text, err := io.ReadAll(f)
	if err != nil {
		return 0, err
	}
	lines := strings.Split(string(text), "\n") // the last is empty
	alive := 0
	if len(lines) > 1 && runs(file, lines[len(lines)-2]) {
		alive = 1
	}
	_, err = fmt.Fprintf(f, "%d %d %d\n", os.Getpid(), time.Now().UnixNano(), alive)
	return len(lines), err
}

// over is the file that says that a run is over, though its process may be there: it
// has returned when it was told to.
func over(file string, pid int) string { return fmt.Sprintf("%s-over-%d", file, pid) }

// runs tells whether the run of a line is not over.
func runs(file, line string) bool {
	pid, err := strconv.Atoi(strings.Fields(line)[0])
	if err != nil {
		return true
	}
	_, err = os.Stat(over(file, pid))
	return err != nil && lives(strconv.Itoa(pid))
}

// exiting is PF_EXITING of the kernel's sched.h: a process with this flag performs
// nothing any more.
const exiting = 0x4

// lives tells whether a process is there, and not about to end.
func lives(pid string) bool {
	text, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return false
	}
	// proc_pid_stat(5): the name is in parentheses, then state, four numbers more, tty, flags.
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 7 {
		return false
	}
	flags, err := strconv.ParseUint(fields[6], 10, 64)
	return err == nil && flags&exiting == 0
}
