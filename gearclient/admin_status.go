package gearclient

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// FunctionStatus is one line of a server's status.
type FunctionStatus struct {
	Function string
	Total    int // jobs that queue or run
	Running  int // jobs that workers have; never over Total
	Workers  int // connections that offer the function
}

// Status lists the functions that the server knows with their counts. A
// function stays known until it is dropped. Counts that gearmand 1.1.20 has let
// wrap below zero are 0.
func (a *Admin) Status(ctx context.Context) ([]FunctionStatus, error) {
	return adminRows(ctx, a, "status", 3, func(name string, n []int) FunctionStatus {
		return FunctionStatus{Function: name, Total: n[0], Running: min(n[0], n[1]), Workers: n[2]}
	})
}

// QueueStatus is one line of a server's priority status.
type QueueStatus struct {
	Function          string
	High, Normal, Low int // jobs that queue; those that run are not counted
	Workers           int // connections that offer the function
}

// Queues lists how many jobs of each priority wait, for each function. The
// server walks all queued jobs for it, so do not ask often where queues are
// long. Counts that wrapped below zero are 0.
func (a *Admin) Queues(ctx context.Context) ([]QueueStatus, error) {
	return adminRows(ctx, a, "prioritystatus", 4, func(name string, n []int) QueueStatus {
		return QueueStatus{Function: name, High: n[0], Normal: n[1], Low: n[2], Workers: n[3]}
	})
}

// WorkerInfo is one connection to the server.
type WorkerInfo struct {
	FD        int    // the server's file descriptor
	Addr      string // IP address
	ID        string // as the worker set it; "-" without one
	Functions []string
}

// Workers lists all connections of the server, those of clients and the Admin's
// own too, which have no functions. Names of functions with spaces in them come
// apart. The server walks every connection for it, so do not ask often where
// there are many.
func (a *Admin) Workers(ctx context.Context) ([]WorkerInfo, error) {
	var list []WorkerInfo
	err := a.run(ctx, "workers", adminDot, func(line string) error {
		w, err := adminWorker(line)
		list = append(list, w)
		return err
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// JobInfo is one job of the server.
type JobInfo struct {
	Handle  string
	Retries int  // attempts that were lost with their worker
	Ignored bool // nobody wants it any more; the server drops it when it comes up
	Queued  bool // false while a worker has it, and once it was cancelled
}

// Jobs lists all jobs of the server.
func (a *Admin) Jobs(ctx context.Context) ([]JobInfo, error) {
	return adminRows(ctx, a, "show jobs", 3, func(handle string, n []int) JobInfo {
		return JobInfo{Handle: handle, Retries: n[0], Ignored: n[1] != 0, Queued: n[2] != 0}
	})
}

// UniqueJobs lists the unique keys of the server's jobs. Jobs without one are
// left out; a key that is a lone dot ends the list.
func (a *Admin) UniqueJobs(ctx context.Context) ([]string, error) {
	var list []string
	err := a.run(ctx, "show unique jobs", adminDotUnsure, func(line string) error {
		if line != "" {
			list = append(list, line)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// adminRows runs a command whose reply is a table, with n counts after a name in
// each row.
func adminRows[T any](ctx context.Context, a *Admin, command string, n int, row func(name string, n []int) T) ([]T, error) {
	var list []T
	err := a.run(ctx, command, adminDot, func(line string) error {
		name, counts, err := adminCounts(line, n)
		if err == nil {
			list = append(list, row(name, counts))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// adminCounts splits a line of tab-separated columns into the first one and n
// numbers at its end: a name may hold tabs, a number does not.
func adminCounts(line string, n int) (name string, counts []int, err error) {
	columns := strings.Split(line, "\t")
	if len(columns) < n+1 {
		return "", nil, fmt.Errorf("it has %d columns, want %d", len(columns), n+1)
	}
	cut := len(columns) - n
	counts = make([]int, n)
	for i, c := range columns[cut:] {
		if counts[i], err = adminCount(c); err != nil {
			return "", nil, err
		}
	}
	return strings.Join(columns[:cut], "\t"), counts, nil
}

// adminCount reads a count of 32 bits; one that wrapped below zero is 0.
func adminCount(s string) (int, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > math.MaxUint32 || n < math.MinInt32 {
		return 0, fmt.Errorf("%q is no count", s)
	}
	if n > math.MaxInt32 || n < 0 {
		return 0, nil
	}
	return int(n), nil
}

// adminWorker reads "fd address id : function function …". The id may hold
// spaces, and an IPv6 address colons.
func adminWorker(line string) (WorkerInfo, error) {
	descriptor, rest, _ := strings.Cut(line, " ")
	addr, rest, _ := strings.Cut(rest, " ")
	id, functions, found := strings.Cut(rest, " :")
	if !found {
		return WorkerInfo{}, errors.New("want a descriptor, an address, an id, a colon and functions")
	}
	fd, err := strconv.Atoi(descriptor)
	if err != nil {
		return WorkerInfo{}, fmt.Errorf("%q is no descriptor", descriptor)
	}
	return WorkerInfo{FD: fd, Addr: addr, ID: id, Functions: strings.Fields(functions)}, nil
}
