package conformance

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// syncFunction is registered by whoever is about to close its connection, and
// kept out of what operators are shown. gearmand's "workers" forgets a
// connection before its jobs are queued again and its clients forgotten; the
// count of workers in "status" goes down with that.
const syncFunction = "conformance-sync"

// close closes an actor's connection and waits until the server has drawn all
// consequences.
func (st *stage) close(a *actor) ([]string, error) {
	if err := st.openWatch(); err != nil {
		return nil, err
	}
	if !a.midway {
		if err := a.sendPacket(wire.Request, "CAN_DO "+syncFunction); err != nil {
			return nil, err
		}
		if got, err := a.readPackets("closing", st.srv); err != nil || len(got) > 0 {
			return got, err
		}
	}
	_ = a.nc.Close()
	st.actors = slices.DeleteFunc(st.actors, func(o *actor) bool { return o == a })
	open := 0
	for _, o := range st.actors {
		if !o.closed {
			open++
		}
	}
	for deadline := time.Now().Add(testutil.Patience); time.Now().Before(deadline); {
		gone, err := st.hasLeft(open)
		if err != nil {
			return nil, err
		}
		if gone {
			return st.collectFrom(st.actors)
		}
	}
	return nil, fmt.Errorf("server keeps more than %d connections, or their functions", open)
}

// openWatch connects the actor that asks after others.
func (st *stage) openWatch() error {
	if st.watch != nil {
		return nil
	}
	watch, err := dial(st.srv.addr(), "watch")
	if err != nil {
		return err
	}
	st.watch = watch
	return watch.hide()
}

// hasLeft reports whether the server has at most so many connections left and
// counts no more workers than these have registered functions.
func (st *stage) hasLeft(open int) (bool, error) {
	connections, err := st.list("workers")
	if err != nil {
		return false, err
	}
	n, registered := 0, 0
	for _, line := range connections {
		if !hidden(line) {
			n++
			_, functions, _ := strings.Cut(line, " :")
			registered += len(strings.Fields(functions))
		}
	}
	if n > open {
		return false, nil
	}
	functions, err := st.list("status")
	if err != nil {
		return false, err
	}
	counted := 0
	for _, line := range functions {
		workers, err := strconv.Atoi(line[strings.LastIndexByte(line, '\t')+1:])
		if err != nil {
			return false, fmt.Errorf("read status: %w", err)
		}
		counted += workers
	}
	return counted <= registered, nil
}

// list asks the server for a list, as an operator.
func (st *stage) list(command string) ([]string, error) {
	if err := st.watch.send([]byte(command + "\r\n")); err != nil {
		return nil, err
	}
	_ = st.watch.nc.SetReadDeadline(time.Now().Add(testutil.Patience))
	var lines []string
	for {
		line, err := st.watch.readLine()
		if err != nil {
			return nil, err
		}
		if line == ".\n" {
			return lines, nil
		}
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
}
