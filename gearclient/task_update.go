package gearclient

import (
	"fmt"
	"math"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// UpdateKind tells what an [Update] is.
type UpdateKind int

// The kinds of updates.
const (
	// UpdateData is a part of the result.
	UpdateData UpdateKind = iota
	// UpdateWarning is something that people should see.
	UpdateWarning
	// UpdateStatus is a report of progress.
	UpdateStatus
)

// String gives "data", "warning" or "status".
func (k UpdateKind) String() string {
	switch k {
	case UpdateData:
		return "data"
	case UpdateWarning:
		return "warning"
	case UpdateStatus:
		return "status"
	default:
		return fmt.Sprintf("update kind %d", int(k))
	}
}

// Update is what a worker says about a job that it has not ended yet.
type Update struct {
	Kind UpdateKind
	// Data of UpdateData and UpdateWarning; the receiver's to keep.
	Data []byte
	// Numerator and Denominator of UpdateStatus.
	Numerator, Denominator uint64
}

// clientUpdateOf reads WORK_DATA, WORK_WARNING and WORK_STATUS.
func clientUpdateOf(p wire.Packet) Update {
	switch p.Type { //nolint:exhaustive // the caller selects these
	case wire.WorkStatus:
		return Update{Kind: UpdateStatus, Numerator: clientNumber(p.Arg(1)), Denominator: clientNumber(p.Arg(2))}
	case wire.WorkWarning:
		return Update{Kind: UpdateWarning, Data: p.Arg(1)}
	default:
		return Update{Kind: UpdateData, Data: p.Arg(1)}
	}
}

// clientNumber reads the digits at the front of b, as C programs on the other
// side do; what is no number is 0, and what is too large is the largest.
func clientNumber(b []byte) uint64 {
	var n uint64
	for _, d := range b {
		if d < '0' || d > '9' {
			break
		}
		digit := uint64(d - '0')
		if n > (math.MaxUint64-digit)/10 {
			return math.MaxUint64
		}
		n = n*10 + digit
	}
	return n
}
