package jobrecord_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"testing"

	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
)

// writerEnv makes the test binary a process that writes a record for ever.
const writerEnv = "JOBRECORD_TEST_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(writerEnv); path != "" {
		fmt.Println(writeForEver(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
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
	return jobrecord.Job{Server: short, Function: ^short, Handle: fmt.Sprintf("H:web1:%d", n), Hash: n}
}
