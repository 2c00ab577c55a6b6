package jobserver

import (
	"bytes"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// Codes of ERROR packets, as gearmand names them.
const (
	codeInvalidCommand = "INVALID_COMMAND"
	codeInvalidMagic   = "INVALID_MAGIC"
	codeTooLarge       = "ARGUMENT_TOO_LARGE"
	codeQueue          = "QUEUE_ERROR"
	codeUnknownOption  = "UNKNOWN_OPTION"
	codeJobNotFound    = "JOB_NOT_FOUND"
)

// maxShownID is how much of a client id is kept, in bytes: gearmand's limit
// includes a NUL at the end.
const maxShownID = wire.MaxClientID - 1

// dispatch performs one request of p. It answers everything, also what no
// request is.
func (q *queue) dispatch(p *peer, r wire.Packet, now time.Time) {
	switch r.Type { //nolint:exhaustive // what is no request ends in default
	case wire.SubmitJob, wire.SubmitJobBg, wire.SubmitJobHigh, wire.SubmitJobHighBg,
		wire.SubmitJobLow, wire.SubmitJobLowBg, wire.SubmitJobEpoch,
		wire.SubmitReduceJob, wire.SubmitReduceJobBg:
		q.submit(p, r, now)
	case wire.GrabJob, wire.GrabJobUniq, wire.GrabJobAll:
		q.grab(p, r.Type, now)
	case wire.PreSleep:
		q.preSleep(p)
	case wire.WorkComplete, wire.WorkFail, wire.WorkException,
		wire.WorkData, wire.WorkWarning, wire.WorkStatus:
		q.work(p, r)
	case wire.CanDo:
		q.canDo(p, r.Arg(0), 0)
	case wire.CanDoTimeout:
		q.canDo(p, r.Arg(0), parseTimeout(r.Arg(1)))
	case wire.CantDo:
		q.cantDo(p, r.Arg(0))
	case wire.ResetAbilities:
		q.resetAbilities(p)
	case wire.SetClientID:
		id := untilNUL(r.Arg(0))
		p.id = string(id[:min(len(id), maxShownID)])
	case wire.GetStatus:
		q.status(p, r.Arg(0))
	case wire.GetStatusUnique:
		q.statusUnique(p, r.Arg(0))
	case wire.OptionReq:
		q.option(p, r.Arg(0))
	case wire.EchoReq:
		q.send(p, wire.EchoRes, r.Arg(0))
	default:
		q.reject(p, codeInvalidCommand, "Command not expected")
	}
}

// reject answers with an ERROR packet.
func (q *queue) reject(p *peer, code, text string) {
	q.send(p, wire.Error, []byte(code), []byte(text))
}

// option turns an option of the connection on.
func (q *queue) option(p *peer, name []byte) {
	if !bytes.EqualFold(untilNUL(name), []byte("exceptions")) {
		q.reject(p, codeUnknownOption, "Server does not recognize given option")
		return
	}
	p.exceptions = true
	q.send(p, wire.OptionRes, name)
}

// tooLarge answers a packet whose data was over the cap and was thrown away.
// A job whose last answer that was has failed: nobody can answer it any more.
func (q *queue) tooLarge(p *peer, r wire.Packet, e *wire.TooLargeError) {
	q.reject(p, codeTooLarge, e.Error())
	if r.Type != wire.WorkComplete && r.Type != wire.WorkException {
		return
	}
	if j := q.held(p, r.Arg(0)); j != nil {
		q.fail(j)
	}
}

// untilNUL cuts an argument at its first NUL, if a peer sent one too many.
func untilNUL(b []byte) []byte {
	head, _, _ := bytes.Cut(b, []byte{0})
	return head
}
