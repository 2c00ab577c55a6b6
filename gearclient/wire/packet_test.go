package wire_test

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

func TestAppendRefuses(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]wire.Packet{
		"GRAB_JOB: 1 arguments, want 0":                      {Type: wire.GrabJob, Args: [][]byte{nil}},
		"WORK_COMPLETE: 1 arguments, want 2":                 {Type: wire.WorkComplete, Args: [][]byte{[]byte("H:1")}},
		"type 5: no packet of the protocol":                  {Type: 5},
		"type 99: no packet of the protocol":                 {Type: 99, Args: [][]byte{nil}},
		"CAN_DO: function: 513 bytes, at most 512":           {Type: wire.CanDo, Args: [][]byte{make([]byte, 513)}},
		"SUBMIT_JOB: unique: 65 bytes, at most 64":           {Type: wire.SubmitJob, Args: [][]byte{[]byte("f"), make([]byte, 65), nil}},
		"SET_CLIENT_ID: client id: 129 bytes, at most 128":   {Type: wire.SetClientID, Args: [][]byte{make([]byte, 129)}},
		"SUBMIT_JOB: function: holds a NUL byte":             {Type: wire.SubmitJob, Args: [][]byte{[]byte("f\x00"), nil, nil}},
		"WORK_STATUS: number: holds a NUL byte":              {Type: wire.WorkStatus, Args: [][]byte{[]byte("H:1"), []byte("\x00"), nil}},
		"WORK_EXCEPTION: handle: " + "65 bytes, at most 64":  {Type: wire.WorkException, Args: [][]byte{make([]byte, 65), nil}},
		"SUBMIT_JOB_EPOCH: epoch: 21 bytes, at most 20":      {Type: wire.SubmitJobEpoch, Args: [][]byte{[]byte("f"), nil, make([]byte, 21), nil}},
		"SUBMIT_REDUCE_JOB: reducer: 513 bytes, at most 512": {Type: wire.SubmitReduceJob, Args: [][]byte{[]byte("f"), nil, make([]byte, 513), nil, nil}},
		"OPTION_REQ: option: 65 bytes, at most 64":           {Type: wire.OptionReq, Args: [][]byte{make([]byte, 65)}},
		"CAN_DO_TIMEOUT: timeout: 21 bytes, at most 20":      {Type: wire.CanDoTimeout, Args: [][]byte{[]byte("f"), make([]byte, 21)}},
		"GET_STATUS_UNIQUE: unique: 65 bytes, at most 64":    {Type: wire.GetStatusUnique, Args: [][]byte{make([]byte, 65)}},
		"SUBMIT_JOB_SCHED: day of week: 2 bytes, at most 1":  {Type: wire.SubmitJobSched, Args: [][]byte{nil, nil, nil, nil, nil, nil, make([]byte, 2), nil}},
		"STATUS_RES_UNIQUE: 0 arguments, want 6":             {Type: wire.StatusResUnique},
		"JOB_ASSIGN_ALL: 6 arguments, want 5":                {Type: wire.JobAssignAll, Args: make([][]byte, 6)},
		"ERROR: code: 65 bytes, at most 64":                  {Type: wire.Error, Args: [][]byte{make([]byte, 65), nil}},
	} {
		before := []byte("kept")
		got, err := wire.Append(before, p)
		var argErr *wire.ArgumentError
		if !errors.As(err, &argErr) || err.Error() != want || string(got) != "kept" {
			t.Errorf("%q, %v, want %s", got, err, want)
		}
	}
}

// TestAppendRefusesWhatASizeCannotSay uses address space without memory.
func TestAppendRefusesWhatASizeCannotSay(t *testing.T) {
	t.Parallel()
	data, err := unix.Mmap(-1, 0, 1<<32, unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		t.Skipf("no address space: %v", err)
	}
	defer func() { _ = unix.Munmap(data) }()
	_, err = wire.Append(nil, wire.Packet{Type: wire.EchoReq, Args: [][]byte{data}})
	if _, ok := errors.AsType[*wire.ArgumentError](err); !ok {
		t.Errorf("a body of 4 GiB: %v, want an ArgumentError", err)
	}
}

func TestArg(t *testing.T) {
	t.Parallel()
	p := wire.Packet{Args: [][]byte{[]byte("a")}}
	if string(p.Arg(0)) != "a" || p.Arg(1) != nil || p.Arg(-1) != nil {
		t.Errorf("arguments %q %q %q", p.Arg(0), p.Arg(1), p.Arg(-1))
	}
}

func TestPacketString(t *testing.T) {
	t.Parallel()
	p := wire.Packet{Magic: wire.Response, Type: wire.JobAssign, Args: [][]byte{[]byte("H:1"), []byte("f"), []byte(strings.Repeat("x", 70))}}
	want := `RES JOB_ASSIGN "H:1" "f" "` + strings.Repeat("x", 64) + `"…(70 bytes)`
	if p.String() != want {
		t.Errorf("%s, want %s", p, want)
	}
	if got := (wire.Packet{Magic: 0x47455420, Type: 77}).String(); got != "magic 0x47455420 type 77" {
		t.Error(got)
	}
}

func TestLayoutsAreConsistent(t *testing.T) {
	t.Parallel()
	for typ := range wire.Type(64) {
		args := typ.Args()
		if len(args) > wire.MaxArgs {
			t.Errorf("%v has %d arguments, over MaxArgs", typ, len(args))
		}
		for i, a := range args {
			if a.Name == "" || (i < len(args)-1 && a.Max == 0) {
				t.Errorf("%v: argument %d (%q) has no name or no limit", typ, i, a.Name)
			}
		}
	}
}
