package exec

import (
	"bytes"
	"context"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/gearman-manager/gearman-manager/supervisor"
)

// execution is one executable at work on one job. Four goroutines look after it:
// the caller's waits for its end, the others read what it writes.
type execution struct {
	runner   *runner
	task     *task
	proc     *supervisor.Process
	stdin    *os.File // the executable's end; nil is /dev/null
	input    input
	stdout   stream
	progress stream
	stderr   *supervisor.Output

	result  []byte // written by readResult
	tooLong int64  // how much was read of a result over the cap; by readResult
}

// stream is a pipe from the executable.
type stream struct {
	reader *supervisor.PipeReader
	writer *os.File // the executable's end
}

func (s *stream) open() (err error) {
	s.reader, s.writer, err = supervisor.Pipe()
	return err
}

func (s *stream) extra() []*os.File { return []*os.File{s.writer} }

// closeWriter leaves the executable's end to the executable.
func (s *stream) closeWriter() {
	if s.writer != nil {
		_ = s.writer.Close()
		s.writer = nil
	}
}

func (s *stream) close() {
	s.closeWriter()
	if s.reader != nil {
		_ = s.reader.Close()
	}
}

// newExecution opens the descriptors of an executable.
func newExecution(r *runner, t *task) (*execution, error) {
	e := &execution{runner: r, task: t}
	if err := e.open(); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

func (e *execution) open() (err error) {
	if e.stdin, err = e.input.open(e.task.workload); err != nil {
		return err
	}
	if err := e.stdout.open(); err != nil {
		return err
	}
	if err := e.progress.open(); err != nil {
		return err
	}
	e.stderr, err = supervisor.NewOutput(supervisor.OutputConfig{
		MaxLine: e.runner.cfg.MaxLine,
		Keep:    e.runner.cfg.TailLines,
		Line:    func(line []byte) { e.task.stderr(string(line)) },
	})
	return err
}

func (e *execution) closeStdin() {
	if e.stdin != nil {
		_ = e.stdin.Close()
		e.stdin = nil
	}
}

// close closes what is open still. Nobody reads any more.
func (e *execution) close() {
	e.closeStdin()
	e.input.close()
	e.stdout.close()
	e.progress.close()
	if e.stderr != nil {
		_ = e.stderr.Close()
	}
}

// perform sees an executable that was started through to its end.
func (e *execution) perform(ctx context.Context) ([]byte, error) {
	e.closeStdin()
	e.stdout.closeWriter()
	e.progress.closeWriter()
	var readers sync.WaitGroup
	readers.Go(e.readResult)
	readers.Go(e.readProgress)
	if e.input.pending() {
		readers.Go(e.input.feed)
	}
	aborted := e.await(ctx)
	// The executable has ended, though something that it started may hold the
	// pipes. What it wrote itself is in them by now.
	e.stdout.reader.Finish()
	e.progress.reader.Finish()
	e.input.finish()
	readers.Wait()
	_ = e.stderr.Close() // has nothing to report but a close that failed
	if aborted {
		return nil, context.Cause(ctx)
	}
	return e.verdict()
}

// killWait is for how long the end of a killed process is waited for. One that
// hangs in the kernel, on a dead file server say, can take for ever.
const killWait = time.Second

// await waits for the end of the executable, or of ctx: then it kills it, and
// aborted is true.
func (e *execution) await(ctx context.Context) (aborted bool) {
	select {
	case <-e.proc.Done():
		return false
	case <-ctx.Done():
	}
	_ = e.proc.Kill()
	limit := time.NewTimer(killWait)
	defer limit.Stop()
	select {
	case <-e.proc.Done():
	case <-limit.C:
	}
	return true
}

// bufferSize is that of the buffers which results are read into first. Most fit.
const bufferSize = 16 << 10

// readResult reads stdout to its end, or kills the group when it is too long.
func (e *execution) readResult() {
	buf, ok := e.runner.buffers.Get().(*[]byte)
	if !ok {
		return // the pool holds nothing else
	}
	defer e.runner.buffers.Put(buf)
	n, err := io.ReadFull(e.stdout.reader, *buf)
	if n := int64(n); n > e.task.most {
		e.refuse(n)
		return
	}
	e.result = bytes.Clone((*buf)[:n])
	for err == nil {
		if err = e.readMore(); int64(len(e.result)) > e.task.most {
			e.refuse(int64(len(e.result)))
			return
		}
	}
}

// readMore reads once into a result that grows as it must.
func (e *execution) readMore() error {
	if len(e.result) == cap(e.result) {
		e.result = slices.Grow(e.result, max(len(e.result), bufferSize))
	}
	n, err := e.stdout.reader.Read(e.result[len(e.result):cap(e.result)])
	e.result = e.result[:len(e.result)+n]
	return err
}

func (e *execution) refuse(size int64) {
	e.tooLong, e.result = size, nil
	_ = e.proc.Kill()
}

// verdict says what came of the job.
func (e *execution) verdict() ([]byte, error) {
	exit := e.proc.Exit()
	switch {
	case e.tooLong > 0:
		return nil, &ResultSizeError{Size: e.tooLong, Max: e.task.most}
	case exit.Signal != 0:
		return nil, crashed(exit, e.stderr.Tail())
	case !exit.Success():
		return nil, &ExitError{Exit: exit, Stderr: e.stderr.Tail()}
	}
	return e.result, nil
}
