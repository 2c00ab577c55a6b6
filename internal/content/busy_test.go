package content

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
)

// TestNotBusy: a copy can be run as soon as Put returns, while other goroutines start processes without end. A descriptor for writing that one of those
// children has for a moment would make it "text file busy".
func TestNotBusy(t *testing.T) {
	t.Parallel()
	program, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Skip(err)
	}
	s, dir := open(t), t.TempDir()
	stop := make(chan struct{})
	var storm, all sync.WaitGroup
	for range 4 {
		storm.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = exec.Command("/bin/true").Run()
				}
			}
		})
	}
	for i := range 2 {
		all.Go(func() {
			for j := range 50 {
				// What follows the program makes each another one, and larger than one piece.
				path := file(t, string(program)+fmt.Sprint(i, " ", j)+string(make([]byte, 2*piece)), dir, fmt.Sprint(i))
				c, err := s.Put(path)
				if err == nil {
					err = exec.Command(c.Path).Run()
				}
				if errors.Is(err, syscall.ETXTBSY) {
					t.Error("busy")
				} else if err != nil {
					t.Errorf("run %s: %v", c.Path, err)
				}
			}
		})
	}
	all.Wait()
	close(stop)
	storm.Wait()
}
