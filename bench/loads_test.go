package main

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// TestLoadsShareTheJobs has four connections keep jobs in flight, each its
// share, and all of them used.
func TestLoadsShareTheJobs(t *testing.T) {
	t.Parallel()
	for inFlight, most := range map[int]int{1: 1, 50: 13} {
		t.Run(strconv.Itoa(inFlight), func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var all loads
			var servers []*fakeServer
			for range connections {
				l, s := startLoad(t, func(handle, workload []byte) (wire.Type, [][]byte) {
					if strings.HasSuffix(string(workload), ".200") {
						cancel()
					}
					return reversed(handle, workload)
				})
				all, servers = append(all, l), append(servers, s)
			}
			if err := all.run(ctx, inFlight); err != nil {
				t.Fatal(err)
			}
			var next uint64
			for i, s := range servers {
				next += all[i].next
				s.mu.Lock()
				if s.most > most || s.jobs == 0 {
					t.Errorf("connection %d: %d jobs, %d at a time; want some, and at most %d at a time", i, s.jobs, s.most, most)
				}
				s.mu.Unlock()
			}
			if all.jobs() != next {
				t.Errorf("%d jobs done of %d submitted", all.jobs(), next)
			}
		})
	}
}
