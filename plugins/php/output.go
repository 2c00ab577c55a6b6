package php

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"sync"

	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// outputs are what a process prints.
type outputs struct {
	stdout, stderr *supervisor.Output
}

// Suffixes of the FIFOs of a forked process.
const (
	stdoutSuffix = ".out"
	stderrSuffix = ".err"
)

// sink is told what a process prints. Both may be nil.
type sink struct {
	line    func(stream, line string)
	dropped func(stream string, lines int) // lines that came too fast
}

// config is that of one stream.
func (s sink) config(stream string, change func(line []byte) []byte) supervisor.OutputConfig {
	var cfg supervisor.OutputConfig
	if s.line != nil {
		cfg.Line = func(text []byte) { s.line(stream, string(change(text))) }
	}
	if s.dropped != nil {
		cfg.Dropped = func(lines int) { s.dropped(stream, lines) }
	}
	return cfg
}

// openPipes are for a process that is started here.
func openPipes(to sink) (*outputs, error) {
	return openOutputs(to, func(_ string, cfg supervisor.OutputConfig) (*supervisor.Output, error) {
		return supervisor.NewOutput(cfg)
	})
}

// openFIFOs are for a process that is forked elsewhere.
func openFIFOs(dir, id string, to sink) (*outputs, error) {
	return openOutputs(to, func(suffix string, cfg supervisor.OutputConfig) (*supervisor.Output, error) {
		return supervisor.NewFIFO(filepath.Join(dir, id+suffix), cfg)
	})
}

func openOutputs(to sink, open func(suffix string, cfg supervisor.OutputConfig) (*supervisor.Output, error)) (*outputs, error) {
	asItIs := func(line []byte) []byte { return line }
	stdout, err := open(stdoutSuffix, to.config(host.Stdout, asItIs))
	if err != nil {
		return nil, err
	}
	stderr, err := open(stderrSuffix, to.config(host.Stderr, withoutTime))
	if err != nil {
		_ = stdout.Close() // the first error says why
		return nil, err
	}
	return &outputs{stdout: stdout, stderr: stderr}, nil
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

// tail is the last lines of the standard error.
func (o *outputs) tail() []string { return withoutTimes(o.stderr.Tail()) }

// lastLines are those of both, in the order in which they came.
func (o *outputs) lastLines() []string {
	return withoutTimes(supervisor.LastLines(o.stdout, o.stderr))
}

func withoutTimes(lines []string) []string {
	for i, line := range lines {
		lines[i] = string(withoutTime([]byte(line)))
	}
	return lines
}

// logTime is what php puts before a line that it writes to error_log:
// "[22-Nov-2026 23:30:00 UTC] ", or with the name of another zone.
var logTime = regexp.MustCompile(`^\[\d{2}-[A-Z][a-z]{2}-\d{4} \d{2}:\d{2}:\d{2}(?: [^\]\s]{1,64})?\] `)

// withoutTime takes that off.
func withoutTime(line []byte) []byte {
	if !bytes.HasPrefix(line, []byte("[")) {
		return line
	}
	return line[len(logTime.Find(line)):]
}

// named adds whose output could not be made.
func named(name string, err error) error { return fmt.Errorf("start %s: %w", name, err) }
