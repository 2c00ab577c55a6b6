package pidfile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// tick is the unit of times in /proc, which Linux has fixed for programs.
	tick = 10 * time.Millisecond
	// maxCommand is how many bytes of a command line are shown.
	maxCommand = 200
	// startField is the place of the start time in /proc/PID/stat behind the command's
	// name, from 0: see proc_pid_stat(5), where it is number 22 from 1.
	startField = 22 - 3
)

// Describe names a process for people: its number, and what /proc tells of it, "process
// 7 (gearman-manager -c a.ini, since 2026-01-02 03:04:05)". A number that is that of this
// process comes from a machine or container whose processes cannot be seen.
func Describe(pid int) string {
	name := fmt.Sprintf("process %d", pid)
	if pid == os.Getpid() {
		return name
	}
	dir := fmt.Sprintf("/proc/%d/", pid)
	var facts []string
	if line, err := os.ReadFile(dir + "cmdline"); err == nil && len(line) > 0 {
		facts = append(facts, command(line))
	}
	if since, err := started(dir + "stat"); err == nil {
		facts = append(facts, "since "+since.Format(time.DateTime))
	}
	if len(facts) == 0 {
		return name
	}
	return name + " (" + strings.Join(facts, ", ") + ")"
}

// command makes a command line harmless for a terminal, and short.
func command(line []byte) string {
	words := strings.TrimSpace(string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
	text := []rune(strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, words))
	if len(text) > maxCommand {
		return string(text[:maxCommand]) + "…"
	}
	return string(text)
}

// started reads when a process was started from its stat file.
func started(stat string) (time.Time, error) {
	text, err := os.ReadFile(stat)
	if err != nil {
		return time.Time{}, err
	}
	uptime, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return time.Time{}, err
	}
	var up float64
	if _, err := fmt.Sscan(string(uptime), &up); err != nil {
		return time.Time{}, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // a name may hold anything
	if len(fields) <= startField {
		return time.Time{}, errors.New("read start of process: the line is short")
	}
	ticks, err := strconv.ParseInt(fields[startField], 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	age := time.Duration(up*float64(time.Second)) - time.Duration(ticks)*tick
	return time.Now().Add(-age), nil
}
