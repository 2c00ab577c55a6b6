package conformance

import (
	"fmt"
	"net"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/gearman-manager/gearman-manager/gearclient/wire"
)

// BenchmarkJobs counts foreground jobs through a server: one client with a
// number of jobs in flight, and workers that answer at once.
func BenchmarkJobs(b *testing.B) {
	for _, workers := range []int{1, 4} {
		for _, flight := range []int{1, 50} {
			name := fmt.Sprintf("workers=%d/flight=%d", workers, flight)
			b.Run(name+"/embedded", func(b *testing.B) {
				benchmarkJobs(b, startEmbedded(b, options{}), workers, flight)
			})
			b.Run(name+"/gearmand", func(b *testing.B) {
				benchmarkJobs(b, startGearmand(b, options{}), workers, flight)
			})
		}
	}
}

// benchmarkJobs sends b.N jobs through srv.
func benchmarkJobs(b *testing.B, srv server, workers, flight int) {
	b.Helper()
	var g errgroup.Group
	var conns []net.Conn
	for range workers {
		a, err := dial(srv.addr(), "worker")
		if err != nil {
			b.Fatal(err)
		}
		conns = append(conns, a.nc)
		g.Go(func() error { return benchmarkWorker(a) })
	}
	c, err := dial(srv.addr(), "client")
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	err = benchmarkClient(c, b.N, flight)
	b.StopTimer()
	if err != nil {
		b.Error(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
	for _, nc := range append(conns, c.nc) {
		_ = nc.Close()
	}
	_ = g.Wait() // each ends with the error of its closed connection
}

// benchmarkClient keeps so many of n jobs in flight until all are answered.
func benchmarkClient(c *actor, n, flight int) error {
	submit := wire.AppendUnchecked(nil, wire.Request, wire.SubmitJob, []byte("f"), nil, make([]byte, 32))
	for range min(flight, n) {
		if _, err := c.nc.Write(submit); err != nil {
			return err
		}
	}
	for sent, done := min(flight, n), 0; done < n; {
		p, err := c.r.Next()
		if err != nil {
			return err
		}
		if p.Type != wire.WorkComplete {
			continue
		}
		done++
		if sent == n {
			continue
		}
		sent++
		if _, err := c.nc.Write(submit); err != nil {
			return err
		}
	}
	return nil
}

// benchmarkWorker answers jobs until its connection ends: WORK_COMPLETE and the
// next GRAB_JOB leave in one write.
func benchmarkWorker(w *actor) error {
	grab := wire.AppendUnchecked(nil, wire.Request, wire.GrabJob)
	sleep := wire.AppendUnchecked(nil, wire.Request, wire.PreSleep)
	out := append(wire.AppendUnchecked(nil, wire.Request, wire.CanDo, []byte("f")), grab...)
	for {
		if _, err := w.nc.Write(out); err != nil {
			return err
		}
		p, err := w.r.Next()
		if err != nil {
			return err
		}
		switch p.Type { //nolint:exhaustive // what a worker is sent
		case wire.JobAssign:
			out = wire.AppendUnchecked(out[:0], wire.Request, wire.WorkComplete, p.Arg(0), p.Arg(2))
			out = append(out, grab...)
		case wire.NoJob:
			out = append(out[:0], sleep...)
		case wire.Noop:
			out = append(out[:0], grab...)
		default:
			return fmt.Errorf("unexpected %v", p)
		}
	}
}
