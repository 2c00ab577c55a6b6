package wire_test

import (
	"bytes"
	"testing"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// vector is a packet and its bytes, written down by hand from the protocol's
// text: magic, type, size of the body, body.
type vector struct {
	magic wire.Magic
	typ   wire.Type
	args  []string
	bytes string
}

// vectors has every packet type at least once, in the direction in which it is
// sent.
func vectors() []vector {
	const (
		req = wire.Request
		res = wire.Response
	)
	return []vector{
		{req, wire.CanDo, []string{"resize"}, "\x00REQ\x00\x00\x00\x01\x00\x00\x00\x06resize"},
		{req, wire.CantDo, []string{"resize"}, "\x00REQ\x00\x00\x00\x02\x00\x00\x00\x06resize"},
		{req, wire.ResetAbilities, nil, "\x00REQ\x00\x00\x00\x03\x00\x00\x00\x00"},
		{req, wire.PreSleep, nil, "\x00REQ\x00\x00\x00\x04\x00\x00\x00\x00"},
		{res, wire.Noop, nil, "\x00RES\x00\x00\x00\x06\x00\x00\x00\x00"},
		{req, wire.SubmitJob, []string{"f", "u", "data"}, "\x00REQ\x00\x00\x00\x07\x00\x00\x00\x08f\x00u\x00data"},
		{res, wire.JobCreated, []string{"H:lap:1"}, "\x00RES\x00\x00\x00\x08\x00\x00\x00\x07H:lap:1"},
		{req, wire.GrabJob, nil, "\x00REQ\x00\x00\x00\x09\x00\x00\x00\x00"},
		{res, wire.NoJob, nil, "\x00RES\x00\x00\x00\x0a\x00\x00\x00\x00"},
		{res, wire.JobAssign, []string{"H:lap:1", "f", "a\x00b"}, "\x00RES\x00\x00\x00\x0b\x00\x00\x00\x0dH:lap:1\x00f\x00a\x00b"},
		{req, wire.WorkStatus, []string{"H:lap:1", "3", "10"}, "\x00REQ\x00\x00\x00\x0c\x00\x00\x00\x0cH:lap:1\x003\x0010"},
		{req, wire.WorkComplete, []string{"H:lap:1", ""}, "\x00REQ\x00\x00\x00\x0d\x00\x00\x00\x08H:lap:1\x00"},
		{res, wire.WorkComplete, []string{"H:lap:1", "\x00\x00"}, "\x00RES\x00\x00\x00\x0d\x00\x00\x00\x0aH:lap:1\x00\x00\x00"},
		{req, wire.WorkFail, []string{"H:lap:1"}, "\x00REQ\x00\x00\x00\x0e\x00\x00\x00\x07H:lap:1"},
		{req, wire.GetStatus, []string{"H:lap:1"}, "\x00REQ\x00\x00\x00\x0f\x00\x00\x00\x07H:lap:1"},
		{req, wire.EchoReq, []string{"\x00x"}, "\x00REQ\x00\x00\x00\x10\x00\x00\x00\x02\x00x"},
		{res, wire.EchoRes, []string{""}, "\x00RES\x00\x00\x00\x11\x00\x00\x00\x00"},
		{req, wire.SubmitJobBg, []string{"f", "", ""}, "\x00REQ\x00\x00\x00\x12\x00\x00\x00\x03f\x00\x00"},
		{res, wire.Error, []string{"QUEUE_ERROR", "full"}, "\x00RES\x00\x00\x00\x13\x00\x00\x00\x10QUEUE_ERROR\x00full"},
		{res, wire.StatusRes, []string{"H:1", "1", "0", "2", "4"}, "\x00RES\x00\x00\x00\x14\x00\x00\x00\x0bH:1\x001\x000\x002\x004"},
		{req, wire.SubmitJobHigh, []string{"f", "u", "d"}, "\x00REQ\x00\x00\x00\x15\x00\x00\x00\x05f\x00u\x00d"},
		{req, wire.SetClientID, []string{"host/pool/1"}, "\x00REQ\x00\x00\x00\x16\x00\x00\x00\x0bhost/pool/1"},
		{req, wire.CanDoTimeout, []string{"f", "1000"}, "\x00REQ\x00\x00\x00\x17\x00\x00\x00\x06f\x001000"},
		{req, wire.AllYours, nil, "\x00REQ\x00\x00\x00\x18\x00\x00\x00\x00"},
		{req, wire.WorkException, []string{"H:1", "boom"}, "\x00REQ\x00\x00\x00\x19\x00\x00\x00\x08H:1\x00boom"},
		{req, wire.OptionReq, []string{"exceptions"}, "\x00REQ\x00\x00\x00\x1a\x00\x00\x00\x0aexceptions"},
		{res, wire.OptionRes, []string{"exceptions"}, "\x00RES\x00\x00\x00\x1b\x00\x00\x00\x0aexceptions"},
		{res, wire.WorkData, []string{"H:1", "part"}, "\x00RES\x00\x00\x00\x1c\x00\x00\x00\x08H:1\x00part"},
		{res, wire.WorkWarning, []string{"H:1", "hm"}, "\x00RES\x00\x00\x00\x1d\x00\x00\x00\x06H:1\x00hm"},
		{req, wire.GrabJobUniq, nil, "\x00REQ\x00\x00\x00\x1e\x00\x00\x00\x00"},
		{res, wire.JobAssignUniq, []string{"H:1", "f", "u", "d"}, "\x00RES\x00\x00\x00\x1f\x00\x00\x00\x09H:1\x00f\x00u\x00d"},
		{req, wire.SubmitJobHighBg, []string{"f", "u", "d"}, "\x00REQ\x00\x00\x00\x20\x00\x00\x00\x05f\x00u\x00d"},
		{req, wire.SubmitJobLow, []string{"f", "u", "d"}, "\x00REQ\x00\x00\x00\x21\x00\x00\x00\x05f\x00u\x00d"},
		{req, wire.SubmitJobLowBg, []string{"f", "u", "d"}, "\x00REQ\x00\x00\x00\x22\x00\x00\x00\x05f\x00u\x00d"},
		{req, wire.SubmitJobSched, []string{"f", "u", "1", "2", "3", "4", "5", "d"}, "\x00REQ\x00\x00\x00\x23\x00\x00\x00\x0ff\x00u\x001\x002\x003\x004\x005\x00d"},
		{req, wire.SubmitJobEpoch, []string{"f", "u", "1700000000", "d"}, "\x00REQ\x00\x00\x00\x24\x00\x00\x00\x10f\x00u\x001700000000\x00d"},
		{req, wire.SubmitReduceJob, []string{"f", "u", "r", "a", "d"}, "\x00REQ\x00\x00\x00\x25\x00\x00\x00\x09f\x00u\x00r\x00a\x00d"},
		{req, wire.SubmitReduceJobBg, []string{"f", "u", "r", "a", "d"}, "\x00REQ\x00\x00\x00\x26\x00\x00\x00\x09f\x00u\x00r\x00a\x00d"},
		{req, wire.GrabJobAll, nil, "\x00REQ\x00\x00\x00\x27\x00\x00\x00\x00"},
		{res, wire.JobAssignAll, []string{"H:1", "f", "u", "r", "d"}, "\x00RES\x00\x00\x00\x28\x00\x00\x00\x0bH:1\x00f\x00u\x00r\x00d"},
		{req, wire.GetStatusUnique, []string{"u"}, "\x00REQ\x00\x00\x00\x29\x00\x00\x00\x01u"},
		{res, wire.StatusResUnique, []string{"u", "1", "1", "2", "4", "3"}, "\x00RES\x00\x00\x00\x2a\x00\x00\x00\x0bu\x001\x001\x002\x004\x003"},
	}
}

func (v vector) packet() wire.Packet {
	p := wire.Packet{Magic: v.magic, Type: v.typ}
	for _, a := range v.args {
		p.Args = append(p.Args, []byte(a))
	}
	return p
}

func TestVectorsCoverEveryType(t *testing.T) {
	t.Parallel()
	seen := map[wire.Type]bool{}
	for _, v := range vectors() {
		seen[v.typ] = true
	}
	for typ := range wire.Type(64) {
		if typ.Known() != seen[typ] {
			t.Errorf("%v: known %t, in the vectors %t", typ, typ.Known(), seen[typ])
		}
	}
}

func TestAppendMakesTheVectors(t *testing.T) {
	t.Parallel()
	for _, v := range vectors() {
		got, err := wire.Append([]byte("before"), v.packet())
		if err != nil || string(got) != "before"+v.bytes {
			t.Errorf("%v: %q, %v, want %q", v.packet(), got, err, v.bytes)
		}
	}
}

func TestReaderReadsTheVectors(t *testing.T) {
	t.Parallel()
	for _, v := range vectors() {
		r := wire.NewReader(bytes.NewReader([]byte(v.bytes)), v.magic, 0)
		got, err := r.Next()
		if err != nil {
			t.Errorf("%q: %v", v.bytes, err)
			continue
		}
		wantPacket(t, got, v.packet())
		wantEOF(t, r)
	}
}

func wantPacket(t *testing.T, got, want wire.Packet) {
	t.Helper()
	if got.Magic != want.Magic || got.Type != want.Type || len(got.Args) != len(want.Args) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range want.Args {
		if !bytes.Equal(got.Args[i], want.Args[i]) {
			t.Fatalf("argument %d: got %v, want %v", i, got, want)
		}
	}
}
