package standalone

import (
	"sync"

	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// outputs are what a process prints.
type outputs struct {
	stdout, stderr *supervisor.Output
}

func openOutputs(launch *host.Launch) (*outputs, error) {
	stdout, err := supervisor.NewOutput(outputConfig(launch, host.Stdout))
	if err != nil {
		return nil, err
	}
	stderr, err := supervisor.NewOutput(outputConfig(launch, host.Stderr))
	if err != nil {
		_ = stdout.Close() // the first error says why
		return nil, err
	}
	return &outputs{stdout: stdout, stderr: stderr}, nil
}

func outputConfig(launch *host.Launch, stream string) supervisor.OutputConfig {
	cfg := supervisor.OutputConfig{}
	if launch.Output != nil {
		cfg.Line = func(line []byte) { launch.Output(stream, string(line)) }
	}
	if launch.Dropped != nil {
		cfg.Dropped = func(lines int) { launch.Dropped(stream, lines) }
	}
	return cfg
}

// release closes what only the child writes to; with many workers each descriptor
// counts. Output.Close closes them again, which does nothing but return an error.
func (o *outputs) release() {
	_ = o.stdout.Writer().Close()
	_ = o.stderr.Writer().Close()
}

// close reads what is left. Both at once, since each may have to wait for a
// descendant that left the group and holds it.
func (o *outputs) close() {
	var wg sync.WaitGroup
	wg.Go(func() { _ = o.stdout.Close() }) // what could not be closed is closed
	_ = o.stderr.Close()
	wg.Wait()
}

// tail is the last lines of the standard error. Where nothing came by that, it is
// those of the standard output: scripts often complain there.
func (o *outputs) tail() []string {
	if tail := o.stderr.Tail(); len(tail) > 0 {
		return tail
	}
	return o.stdout.Tail()
}
