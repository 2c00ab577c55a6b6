package phpconfig

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gearman-manager/gearman-manager/supervisor"
)

// reader is what php runs, with the config file as its argument.
//
//go:embed read.php
var reader string

// maxAnswer bounds what a config says, in bytes: some ten thousand functions.
const maxAnswer = 16 << 20

// maxPrinted bounds what is shown of what a file printed, in bytes and lines.
const (
	maxPrinted      = 200
	maxPrintedLines = 3
)

// regular returns the absolute path of a config file, or what is wrong with it.
func regular(path string) (file, fault string) {
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", "there is no such config file, want a readable ini or PHP file"
	case errors.Is(err, fs.ErrPermission):
		return "", "the config file may not be read, want read permission for this user"
	case err != nil:
		return "", fmt.Sprintf("the config file cannot be opened (%v)", err)
	}
	defer f.Close() //nolint:errcheck // nothing was written to it
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", "this is no regular file, want a config file"
	}
	if file, err = filepath.Abs(path); err != nil {
		return "", fmt.Sprintf("the config file cannot be found (%v)", err)
	}
	return file, ""
}

// run has php require the file. The fault says why there is no answer.
func (c Config) run(ctx context.Context, php, file string) (a *answer, fault string) {
	printed, err := supervisor.NewOutput(supervisor.OutputConfig{Keep: maxPrintedLines, MaxLine: maxPrinted})
	if err != nil {
		return nil, fmt.Sprintf("php cannot be run (%v)", err)
	}
	defer printed.Close() //nolint:errcheck // again, where it was not reached
	trouble, err := supervisor.NewOutput(supervisor.OutputConfig{Keep: maxPrintedLines, MaxLine: maxPrinted})
	if err != nil {
		return nil, fmt.Sprintf("php cannot be run (%v)", err)
	}
	defer trouble.Close() //nolint:errcheck // again, where it was not reached
	data, exit, err := c.ask(ctx, supervisor.Spec{
		Name: "php " + file, Path: php, Env: c.Env, Pdeathsig: syscall.SIGKILL,
		Args: []string{
			"-d", "display_errors=0", "-d", "log_errors=0", "-d", "html_errors=0",
			"-r", strings.TrimPrefix(reader, "<?php\n"), "--", file,
		},
		Stdout: printed.Writer(), Stderr: trouble.Writer(),
	})
	if err != nil {
		return nil, err.Error()
	}
	_, _ = printed.Close(), trouble.Close() // what was printed has arrived then
	a = &answer{}
	if err := json.Unmarshal(data, a); err != nil {
		said := strings.TrimSpace(strings.Join(append(trouble.Tail(), printed.Tail()...), " / "))
		if said != "" {
			said = ", and said: " + said
		}
		return nil, fmt.Sprintf("%s %v before it told what the file sets%s", php, exit, said)
	}
	a.printed = strings.TrimSpace(strings.Join(printed.Tail(), "\n"))
	return a, ""
}

// ask runs a program until it has ended, and returns what it wrote to descriptor 3.
func (c Config) ask(ctx context.Context, spec supervisor.Spec) (data []byte, exit supervisor.Exit, err error) {
	from, to, err := supervisor.Pipe()
	if err != nil {
		return nil, exit, fmt.Errorf("php cannot be run (%w)", err)
	}
	defer from.Close() //nolint:errcheck // it was only read
	spec.ExtraFiles = []*os.File{to}
	proc, err := c.Supervisor.Start(spec)
	_ = to.Close() // nothing was written here
	if err != nil {
		return nil, exit, fmt.Errorf("php cannot be run (%w)", err)
	}
	read := make(chan []byte, 1)
	go func() { read <- upTo(from, maxAnswer) }()
	err = c.await(ctx, proc)
	from.Finish() // what the file has started may hold the other end
	data = <-read
	if err == nil && len(data) > maxAnswer {
		err = fmt.Errorf("the config is larger than %d MiB", maxAnswer>>20)
	}
	return data, proc.Exit(), err
}

// await waits until the process has ended, and ends it when it is time to.
func (c Config) await(ctx context.Context, proc *supervisor.Process) error {
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	late := time.NewTimer(timeout)
	defer late.Stop()
	var err error
	select {
	case <-proc.Done():
		return nil
	case <-late.C:
		err = fmt.Errorf("the file was ended after %v, want one that only sets $gearman_config", timeout)
	case <-ctx.Done():
		err = fmt.Errorf("the file was not read to its end: %w", context.Cause(ctx))
	}
	_ = proc.Kill() // it may have ended meanwhile
	<-proc.Done()
	return err
}

// upTo reads to the end, but keeps no more than a byte over the limit.
func upTo(r io.Reader, limit int64) []byte {
	data, _ := io.ReadAll(io.LimitReader(r, limit+1)) // what is missing is found by who decodes it
	_, _ = io.Copy(io.Discard, r)
	return data
}

// same reports whether two paths lead to one file.
func same(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}
