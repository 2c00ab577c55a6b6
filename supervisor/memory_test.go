package supervisor_test

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/supervisor"
)

func TestMemoryIsRead(t *testing.T) {
	t.Parallel()
	page := uint64(os.Getpagesize())
	got, err := supervisor.ParseStatm("90000 300 200 50 0 1000 0\n")
	if diff := cmp.Diff(supervisor.Memory{Resident: 300 * page, Shared: 200 * page}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for _, text := range []string{"", "1 2", "1 a 3", "1 2 x", "1 -2 3"} {
		if got, err := supervisor.ParseStatm(text); err == nil {
			t.Errorf("%q gives %v", text, got)
		}
	}
	own, err := supervisor.MemoryOf(os.Getpid())
	if err != nil || own.Resident < 1<<20 || own.Resident > 4<<30 || own.Shared >= own.Resident {
		t.Errorf("own memory %+v, %v", own, err)
	}
	if _, err := supervisor.MemoryOf(1 << 30); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of nobody: %v", err)
	}
}
