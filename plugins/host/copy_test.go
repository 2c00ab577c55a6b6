package host_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// original is where the program of these tests is said to come from.
const original = "/opt/workers/resize"

func TestCopyKnowsItsOriginal(t *testing.T) {
	b := setup(t, nil)
	launch := b.launch("prints")
	launch.Program = original
	launch.Env = append(launch.Env, "GEARMAN_PROGRAM=/other")
	var (
		mu  sync.Mutex
		got bytes.Buffer
	)
	launch.Output = func(_, line string) {
		mu.Lock()
		defer mu.Unlock()
		got.WriteString(line + "\n")
	}
	w := b.start(t, launch)
	w.Release()
	testutil.Receive(t, "the end", w.Done())
	if want := `program "` + original + `"`; !strings.Contains(got.String(), want) {
		t.Errorf("it printed no line %s:\n%s", want, &got)
	}
}

func TestFailuresOfCopyNameOriginal(t *testing.T) {
	b := setup(t, nil)
	for mode, c := range startFailures() {
		t.Run(mode, func(t *testing.T) {
			launch := b.launch(mode)
			launch.Program = original
			_, err := b.host.Start(t.Context(), launch)
			checkError(t, err, c.as, "start plugin "+original+": "+c.want)
		})
	}
}

// A copy that cannot be executed is named too: what is wrong is there.
func TestCopyThatCannotBeExecuted(t *testing.T) {
	b := setup(t, nil)
	path := filepath.Join(t.TempDir(), "3f2a")
	if err := os.WriteFile(path, []byte("\x7fELF"), 0o400); err != nil {
		t.Fatal(err)
	}
	launch := b.launch("ok")
	launch.Path, launch.Program = path, original
	_, err := b.host.Start(t.Context(), launch)
	want := "start resize/3: " + original + ": its private copy " + path + ": is not executable"
	checkError(t, err, &supervisor.StartError{}, want)
	if !errors.Is(err, os.ErrPermission) {
		t.Errorf("%v is not %v", err, os.ErrPermission)
	}
	launch.Name = ""
	_, err = b.host.Describe(t.Context(), launch)
	checkError(t, err, &supervisor.StartError{}, strings.Replace(want, "resize/3", "resize", 1))
}
