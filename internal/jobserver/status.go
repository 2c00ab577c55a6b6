package jobserver

import (
	"strconv"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// status answers GET_STATUS.
func (q *queue) status(p *peer, handle []byte) {
	handle = untilNUL(handle)
	s := statusArgs(q.jobs[string(handle)])
	q.send(p, wire.StatusRes, handle, s[0], s[1], s[2], s[3])
}

// statusUnique answers GET_STATUS_UNIQUE: the job of that unique key, whatever
// its function.
func (q *queue) statusUnique(p *peer, unique []byte) {
	unique = untilNUL(unique)
	var j *job
	for _, f := range q.order {
		if j = f.uniques[string(unique)]; j != nil {
			break
		}
	}
	clients := 0
	if j != nil {
		clients = len(j.clients)
	}
	s := statusArgs(j)
	q.send(p, wire.StatusResUnique, unique, s[0], s[1], s[2], s[3], strconv.AppendInt(nil, int64(clients), 10))
}

// statusArgs gives known, running, numerator and denominator of j, which may be
// nil.
func statusArgs(j *job) [4][]byte {
	if j == nil {
		return [4][]byte{[]byte("0"), []byte("0"), []byte("0"), []byte("0")}
	}
	running := "0"
	if j.worker != nil {
		running = "1"
	}
	return [4][]byte{
		[]byte("1"),
		[]byte(running),
		strconv.AppendUint(nil, uint64(j.num), 10),
		strconv.AppendUint(nil, uint64(j.den), 10),
	}
}
