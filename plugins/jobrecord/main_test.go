package jobrecord_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"testing"

	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
)

// These make the test binary a process that writes a record for ever, in memory or
// by system calls.
const (
	writerEnv = "JOBRECORD_TEST_FILE"
	callerEnv = "JOBRECORD_TEST_CALLS"
)

func TestMain(m *testing.M) {
	for env, write := range map[string]func(string) error{writerEnv: writeForEver, callerEnv: callForEver} {
		if path := os.Getenv(env); path != "" {
			fmt.Println(write(path))
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// callForEver writes as a process does that cannot map the file: a whole record a
// call, under the next even version.
func callForEver(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	fmt.Println("writing")
	for n := uint64(1); ; n++ {
		if _, err := f.WriteAt(called(n), jobrecord.Size); err != nil {
			return err
		}
	}
}

// called is the record of the job that numbered(n) is.
func called(n uint64) []byte {
	j := numbered(n)
	m := make([]byte, 0, jobrecord.Size)
	m = binary.LittleEndian.AppendUint32(m, uint32(n%(1<<30))*2) //nolint:gosec // 31 bits
	m = append(m, 1, byte(len(j.Handle)))
	m = binary.LittleEndian.AppendUint16(m, j.Server)
	m = binary.LittleEndian.AppendUint16(m, j.Function)
	m = append(m, byte(len(j.Unique)), 0)
	m = binary.LittleEndian.AppendUint32(m, 0)
	for _, field := range []uint64{1, n, n, n - 1, 0, 0} {
		m = binary.LittleEndian.AppendUint64(m, field)
	}
	m = append(append(m, j.Handle...), make([]byte, 128-64-len(j.Handle))...)
	return append(append(m, j.Unique...), make([]byte, jobrecord.Size-128-len(j.Unique))...)
}

// writeForEver writes jobs whose fields all say the same number, so that a
// reader sees when it gets parts of two.
func writeForEver(path string) error {
	f, err := jobrecord.Open(path)
	if err != nil {
		return err
	}
	r, err := f.Record(1)
	if err != nil {
		return err
	}
	fmt.Println("writing")
	for n := uint64(1); ; n++ {
		r.Begin(numbered(n), jobrecord.Now(), 1)
		r.End(jobrecord.Now(), n%2 == 0, 2)
	}
}

// numbered is a job all of whose fields follow from n.
func numbered(n uint64) jobrecord.Job {
	var low [2]byte
	binary.LittleEndian.PutUint16(low[:], uint16(n&0xffff))
	short := binary.LittleEndian.Uint16(low[:])
	return jobrecord.Job{Server: short, Function: ^short, Handle: fmt.Sprintf("H:web1:%d", n), Hash: n, Unique: fmt.Sprint("u", n)}
}
