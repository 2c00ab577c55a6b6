package gearclient

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// dispatch gives a packet to whom it belongs. An error means that the peer does
// not follow the protocol and ends the connection.
func (c *clientConn) dispatch(p wire.Packet) error {
	switch p.Type { //nolint:exhaustive // every other type is for workers, and an error
	case wire.JobCreated:
		return c.created(p)
	case wire.StatusRes:
		return c.answer(p, clientStatus, clientReply{status: clientStatusOf(p)})
	case wire.StatusResUnique:
		return c.answer(p, clientUniqueStatus, clientReply{status: clientStatusOf(p)})
	case wire.EchoRes:
		return c.answer(p, clientEcho, clientReply{data: p.Arg(0)})
	case wire.OptionRes:
		c.optionAnswered()
		return nil
	case wire.Error:
		c.refused(p)
		return nil
	case wire.WorkData, wire.WorkWarning, wire.WorkStatus:
		c.update(p)
		return nil
	case wire.WorkComplete, wire.WorkFail, wire.WorkException:
		c.finished(p)
		return nil
	case wire.Noop:
		return nil
	default:
		return fmt.Errorf("the server sent %v to a client", p.Type)
	}
}

// pop takes the oldest call, which has to be of this kind. An option that a
// server did not answer is passed over.
func (c *clientConn) pop(kind clientKind) *clientCall {
	i := slices.IndexFunc(c.pending, func(call *clientCall) bool { return call.kind != clientOption })
	if i < 0 || c.pending[i].kind != kind {
		return nil
	}
	call := c.pending[i]
	clear(c.pending[:i+1]) // their packets may be large
	c.pending = c.pending[i+1:]
	c.due--
	return call
}

// created answers the oldest submission and begins to listen for its job.
func (c *clientConn) created(p wire.Packet) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	call := c.pop(clientSubmit)
	if call == nil {
		return fmt.Errorf("the server sent %v that nobody waits for", p)
	}
	name := clientHandle(p)
	handle := Handle{Server: c.server.addr, Name: name}
	if call.task != nil && call.task.created(handle, c) {
		c.tasks[name] = append(c.tasks[name], call.task)
	}
	call.reply <- clientReply{handle: handle}
	return nil
}

// answer gives a reply to the oldest call, which has to be of that kind and, for
// a status, of that key.
func (c *clientConn) answer(p wire.Packet, kind clientKind, reply clientReply) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	call := c.pop(kind)
	if call == nil || (kind != clientEcho && call.key != string(p.Arg(0))) {
		if call != nil {
			c.pending, c.due = slices.Insert(c.pending, 0, call), c.due+1 // it gets the error of the end
		}
		return fmt.Errorf("the server sent %v that nobody waits for", p)
	}
	call.reply <- reply
	return nil
}

// optionAnswered takes an OPTION_RES. One that is late or was not asked for
// does no harm.
func (c *clientConn) optionAnswered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropOption()
}

// dropOption forgets the request for the option, if it still waits.
func (c *clientConn) dropOption() {
	if len(c.pending) > 0 && c.pending[0].kind == clientOption {
		c.pending = c.pending[1:]
	}
}

// refused gives an ERROR to the oldest call. One about an option is not for it,
// and one that belongs to nothing does no harm.
func (c *clientConn) refused(p wire.Packet) {
	refusal := &ServerError{Server: c.server.addr, Code: string(p.Arg(0)), Text: string(p.Arg(1))}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.due == 0 || strings.Contains(strings.ToUpper(refusal.Code), "OPTION") {
		c.dropOption()
		return
	}
	i := slices.IndexFunc(c.pending, func(call *clientCall) bool { return call.kind != clientOption })
	call := c.pop(c.pending[i].kind)
	call.reply <- clientReply{err: refusal, sent: true}
}

// update gives data, a warning or a status to a task. A server sends it once
// for each task that a unique key joined, so they take turns.
func (c *clientConn) update(p wire.Packet) {
	handle := string(p.Arg(0))
	c.mu.Lock()
	defer c.mu.Unlock()
	tasks := c.tasks[handle]
	if len(tasks) == 0 {
		return
	}
	turn := 0
	if len(tasks) > 1 {
		turn = c.next[handle] % len(tasks)
		c.next[handle] = turn + 1
	}
	tasks[turn].update(clientUpdateOf(p))
}

// finished ends the tasks of a job. If there are several, the server sends this
// packet several times; all but the first are for a handle that is not known
// any more.
func (c *clientConn) finished(p wire.Packet) {
	handle := clientHandle(p)
	switch p.Type { //nolint:exhaustive // the caller selects these
	case wire.WorkFail:
		c.finish(handle, nil, &FailError{Server: c.server.addr, Handle: handle})
	case wire.WorkException:
		c.finish(handle, nil, &ExceptionError{Server: c.server.addr, Handle: handle, Data: p.Arg(1)})
	default:
		c.finish(handle, p.Arg(1), nil)
	}
}

// finish ends all tasks of a handle.
func (c *clientConn) finish(handle string, data []byte, err error) {
	c.mu.Lock()
	tasks := c.tasks[handle]
	delete(c.tasks, handle)
	delete(c.next, handle)
	c.mu.Unlock()
	for _, t := range tasks {
		t.finish(data, err)
	}
}

// forget stops listening for a task's job.
func (c *clientConn) forget(t *Task) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := t.handle.Name
	left := slices.DeleteFunc(c.tasks[name], func(other *Task) bool { return other == t })
	if len(left) > 0 {
		c.tasks[name] = left
		return
	}
	delete(c.tasks, name)
	delete(c.next, name)
}

// tooLarge ends the tasks whose data was over the cap and thrown away. In a
// packet that is no data of a job, such a size is nonsense.
func (c *clientConn) tooLarge(p wire.Packet, large *wire.TooLargeError) error {
	switch p.Type { //nolint:exhaustive // no other type has data that may be large
	case wire.WorkComplete, wire.WorkException, wire.WorkData, wire.WorkWarning:
		handle := string(p.Arg(0))
		c.finish(handle, nil, fmt.Errorf("job %s on %s: %w", handle, c.server.addr, large))
		return nil
	default:
		return large
	}
}

// clientHandle is the handle of a packet; gearmand adds a NUL to that of a
// WORK_FAIL which stands for an exception.
func clientHandle(p wire.Packet) string {
	return string(bytes.TrimRight(p.Arg(0), "\x00"))
}
