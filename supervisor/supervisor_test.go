package supervisor_test

import (
	"testing"
)

// Each of these needs a supervisor of its own, and so a process.
func TestInAProcessOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"lifecycle", "stress", "crowd", "unplaced", "masked", "ignorant"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			playAlone(t, name)
		})
	}
}

// playAlone has a process play a role that says nothing if all is well.
func playAlone(t *testing.T, name string, args ...string) {
	t.Helper()
	lines, w := pipe(t)
	spec := child(name, args...)
	spec.Stdout, spec.Stderr = w, w
	p := start(t, spec)
	_ = w.Close()
	for lines.Scan() {
		t.Error(lines.Text())
	}
	if e := wait(t, p); !e.Success() {
		t.Error(e)
	}
}

func BenchmarkStartToExit(b *testing.B) {
	spec := sh("exit 3")
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			p, err := shared.Start(spec)
			if err != nil {
				b.Fatal(err)
			}
			<-p.Done()
			if e := p.Exit(); e.Code != 3 {
				b.Fatal(e)
			}
		}
	})
}
