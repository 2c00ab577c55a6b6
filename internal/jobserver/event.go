package jobserver

import "net"

// Event is something that happened in a [Server]: one of the types of this
// file that have the method.
type Event interface{ event() }

// ConnOpened says that a peer connected.
type ConnOpened struct{ Remote net.Addr }

// ConnClosed says that a connection ended and why; Err is nil if the peer
// closed it or the server was stopped.
type ConnClosed struct {
	Remote net.Addr
	Err    error
}

// JobRequeued says that a job was put back into its queue because its worker
// left it: by disconnecting, by dropping the function or by its time limit.
type JobRequeued struct {
	Handle   string
	Function string
	Attempts int // that were made so far
}

// JobDropped says that a job was given up after [Config.JobRetries] attempts;
// its waiting clients were sent WORK_FAIL.
type JobDropped struct {
	Handle   string
	Function string
	Attempts int
}

// AcceptFailed says that a connection could not be accepted. The server tries
// again after a pause.
type AcceptFailed struct{ Err error }

func (ConnOpened) event()   {}
func (ConnClosed) event()   {}
func (JobRequeued) event()  {}
func (JobDropped) event()   {}
func (AcceptFailed) event() {}
