package fleet

import (
	"fmt"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// answer is what became of a job.
type answer struct {
	text string
	err  error
}

// async submits a job and returns where its answer will be.
func (f *fleet) async(function, workload string) <-chan answer {
	c := make(chan answer, 1)
	go func() { // ends with the job, which ctx bounds
		text, err := f.do(function, workload)
		c <- answer{text, err}
	}()
	return c
}

// waitRunning waits until so many jobs of a function run.
func (f *fleet) waitRunning(function string, n int) {
	f.tb.Helper()
	testutil.WaitFor(f.tb, fmt.Sprintf("%d jobs of %s to run", n, function), func() bool {
		for _, s := range f.status() {
			if s.Function == function {
				return s.Running == n
			}
		}
		return false
	})
}
