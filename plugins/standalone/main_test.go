package standalone_test

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gearman-manager/gearman-manager/supervisor"
)

// behaviour is the environment variable that makes the test binary a worker and says
// which.
const behaviour = "STANDALONE_TEST_WORKER"

func TestMain(m *testing.M) {
	if mode := os.Getenv(behaviour); mode != "" {
		os.Exit(play(mode))
	}
	goleak.VerifyTestMain(m)
}

// play is a worker that behaves as mode says.
func play(mode string) int {
	switch mode {
	case "polite":
		return polite(syscall.SIGTERM)
	case "polite to SIGUSR1":
		signal.Ignore(syscall.SIGTERM)
		return polite(syscall.SIGUSR1)
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("ready")
		return forever()
	case "plain": // dies of the signal, as programs do that know nothing of it
		fmt.Println("ready")
		return forever()
	case "counting":
		return counting()
	case "large":
		return large()
	case "family":
		return family()
	case "manager":
		return manager()
	}
	fmt.Fprintf(os.Stderr, "no behaviour %q\n", mode)
	return 99
}

// forever is longer than any test; a process that is left over by one ends at last.
func forever() int { <-time.After(2 * time.Minute); return 99 }

// polite leaves at the signal, in good order.
func polite(sig syscall.Signal) int {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, sig)
	fmt.Println("ready")
	select {
	case <-signals:
		fmt.Println("leaving")
		return 0
	case <-time.After(2 * time.Minute):
		return 99
	}
}

// counting tells of each SIGTERM, and leaves at SIGINT with the number of them.
func counting() int {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	fmt.Println("ready")
	late := time.After(2 * time.Minute)
	for n := 0; ; {
		select {
		case sig := <-signals:
			if sig == syscall.SIGINT {
				return 10 + n
			}
			n++
			fmt.Printf("term %d\n", n)
		case <-late:
			return 99
		}
	}
}

// large takes 80 MiB each time that it gets SIGUSR1.
func large() int {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	fmt.Println("ready")
	var held [][]byte
	late := time.After(2 * time.Minute)
	for {
		select {
		case <-signals:
			block := make([]byte, 80<<20)
			for i := range block {
				block[i] = 1
			}
			held = append(held, block)
			fmt.Printf("holds %d\n", len(held))
		case <-late:
			runtime.KeepAlive(held)
			return 99
		}
	}
}

// family starts a child, which is counting, and tells its number.
func family() int {
	child, err := syscall.ForkExec("/proc/self/exe", []string{"child"}, &syscall.ProcAttr{
		Env:   environment("counting"),
		Files: []uintptr{0, 1, 2},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 98
	}
	fmt.Printf("child %d\n", child)
	return polite(syscall.SIGTERM)
}

// environment is what every process of a test gets. Without the variable a process
// that the race detector watches takes a second to end.
func environment(mode string) []string {
	return []string{behaviour + "=" + mode, "GORACE=atexit_sleep_ms=0"}
}

// alive tells whether a process exists and is no zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// newSupervisor makes the one supervisor of a process.
func newSupervisor(orphan func(supervisor.Exit)) (*supervisor.Supervisor, error) {
	return supervisor.New(supervisor.Config{Subreaper: true, OnOrphan: orphan})
}
