package phpconfig

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/trust"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// DefaultTimeout is how long a config file may run: it may ask another machine.
const DefaultTimeout = 30 * time.Second

// Config says what a file is read with.
type Config struct {
	// Supervisor starts php. Required; it remains the caller's to stop.
	Supervisor *supervisor.Supervisor
	// PHP is the interpreter: a path, or a name that is looked up on the PATH.
	// "php" if empty.
	PHP string
	// Env is the environment of the file, as key=value.
	Env []string
	// Timeout ends a file that runs for longer. [DefaultTimeout] if zero.
	Timeout time.Duration
}

// IsPHP reports whether the name of a config file says that it is PHP.
func IsPHP(path string) bool { return strings.EqualFold(filepath.Ext(path), ".php") }

// Load is [config.Load] for a file in PHP. It blocks while the file runs, and ends
// it with ctx. The config is nil when the file does not tell its values.
func Load(ctx context.Context, cfg Config, path string, overrides config.Overrides) (*config.Config, []config.Problem) {
	a, problem := cfg.read(ctx, path)
	if problem != nil {
		return nil, []config.Problem{*problem}
	}
	problems := a.remarks(path)
	source, more := a.source(path)
	problems = append(problems, more...)
	if source == nil {
		return nil, problems
	}
	loaded, more := config.FromSource(*source, overrides)
	return loaded, append(problems, more...)
}

// read runs the file and returns what php says of it.
func (c Config) read(ctx context.Context, path string) (*answer, *config.Problem) {
	refuse := func(format string, args ...any) (*answer, *config.Problem) {
		return nil, &config.Problem{File: path, Severity: config.Error, Message: fmt.Sprintf(format, args...)}
	}
	file, fault := regular(path)
	if fault != "" {
		return refuse("%s", fault)
	}
	if err := trust.Check(file); err != nil {
		return refuse("%v", err)
	}
	name := c.PHP
	if name == "" {
		name = "php"
	}
	php, err := exec.LookPath(name)
	if err == nil {
		php, err = filepath.Abs(php)
	}
	if err != nil {
		return refuse("a config in PHP is read by PHP, but %s is not on the PATH, want PHP's command line installed, or an ini file", name)
	}
	if err := trust.Check(php); err != nil {
		return refuse("%v", err)
	}
	a, fault := c.run(ctx, php, file)
	if fault != "" {
		return refuse("%s", fault)
	}
	return a, nil
}
