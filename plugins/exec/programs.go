package exec

import (
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"strings"
	"sync"
)

// programs remembers where in PATH a command's program is, so that not every job
// searches. The zero value is ready to use.
type programs struct {
	mu    sync.Mutex
	paths map[string]string
}

// find returns the file of a program that is named as a shell would.
func (p *programs) find(name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if path, ok := p.paths[name]; ok {
		return path, nil
	}
	path, err := osexec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("start %s: not found as an executable file in PATH (%s): %w", name, os.Getenv("PATH"), errors.Unwrap(err))
	}
	if p.paths == nil {
		p.paths = make(map[string]string)
	}
	p.paths[name] = path
	return path, nil
}

// forget makes the next find search again: the program did not start.
func (p *programs) forget(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.paths, name)
}
