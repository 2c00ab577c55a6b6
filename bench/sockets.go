package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// connectedTo picks the processes that hold a connection to a port of this
// machine. One that ends meanwhile is left out.
func connectedTo(port int, processes []stat) ([]stat, error) {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return nil, fmt.Errorf("list connections: %w", err)
	}
	sockets := clientSockets(string(table), port)
	var connected []stat
	for _, p := range processes {
		names, err := filepath.Glob(procFile(p.pid, "fd/*"))
		if err != nil {
			return nil, fmt.Errorf("list descriptors: %w", err)
		}
		for _, name := range names {
			if target, err := os.Readlink(name); err == nil && sockets[target] {
				connected = append(connected, p)
				break
			}
		}
	}
	return connected, nil
}

// clientSockets reads /proc/net/tcp: the sockets that are connected with a port,
// named as the links in /proc/PID/fd name them.
func clientSockets(table string, port int) map[string]bool {
	const (
		remote, state, inode = 2, 3, 9 // fields of a line
		established          = "01"
	)
	sockets := map[string]bool{}
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) <= inode || fields[state] != established {
			continue
		}
		_, hex, _ := strings.Cut(fields[remote], ":")
		if n, err := strconv.ParseUint(hex, 16, 16); err == nil && int(n) == port {
			sockets["socket:["+fields[inode]+"]"] = true
		}
	}
	return sockets
}
