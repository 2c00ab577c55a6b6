package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/control"
	"github.com/gearman-manager/gearman-manager/internal/phpconfig"
	"github.com/gearman-manager/gearman-manager/manager"
)

// reach finds the manager that a command is about.
type reach struct {
	file   string
	socket string
}

// reachHelp explains it for the help of commands.
const reachHelp = `
The manager is the one that was started with the same config file. Without -c it
is the only one of this user that runs. It answers its own user, root, and whom
control_owner and control_group in its config name.
`

// reachExit explains the exit codes of such commands.
const reachExit = exitHelp + `  3    no such manager runs, or it cannot be reached
`

func addReach(fs *pflag.FlagSet) *reach {
	r := &reach{}
	fs.StringVarP(&r.file, "config", "c", "", "Talk to the manager that was started with this config `FILE`.")
	fs.StringVar(&r.socket, "socket", "", "Talk to the manager with this control socket: `FILE` is \"control\" in its runtime directory.")
	return r
}

// askWait is how long a manager may take to say who it is. One that is stopped in
// the middle of its work says nothing.
const askWait = 5 * time.Second

// running is a manager that has answered.
type running struct {
	client *control.Client
	self   control.Manager
}

// connect finds the manager. The error has a code of its own if there is none.
func (r *reach) connect(ctx context.Context, std *streams) (*control.Client, error) {
	if r.socket != "" {
		found, err := ask(ctx, r.socket)
		if err != nil {
			return nil, r.explain(err)
		}
		return found.client, nil
	}
	if phpconfig.IsPHP(r.file) { // it may take long, or hang
		client, err := r.search(ctx, "", "")
		if _, nobody := errors.AsType[*nobodyError](err); !nobody {
			return client, err
		}
	}
	socket, base, err := r.places(ctx, std)
	if err != nil {
		return nil, err
	}
	return r.search(ctx, socket, base)
}

// search asks at the control socket that the config names, and if nobody is there in
// the runtime directories: the config may be newer than the manager.
func (r *reach) search(ctx context.Context, socket, base string) (*control.Client, error) {
	if socket != "" {
		found, err := ask(ctx, socket)
		switch {
		case err == nil:
			return found.client, nil
		case !gone(err):
			return nil, r.explain(err)
		}
	}
	dirs, denied := manager.FindDirs(base)
	all, silent := askAll(ctx, dirs)
	client, err := r.choose(all, errors.Join(denied, silent))
	if nobody, ok := errors.AsType[*nobodyError](err); ok && os.Geteuid() == 0 {
		nobody.elsewhere, _ = askAll(ctx, otherDirs(otherPlaces())) // who is silent is not listed
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return client, err
}

// otherPlaces are patterns for the runtime directories of other users' managers.
func otherPlaces() []string {
	return []string{filepath.Join(os.TempDir(), "gearman-manager-*", "m*"), "/run/user/*/gearman-manager/m*"}
}

// otherDirs are the directories that fit patterns. Anybody may have made them, so that
// who answers there is only told of: root has to name the socket to talk to it.
func otherDirs(patterns []string) (dirs []string) {
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		if err == nil {
			dirs = append(dirs, found...)
		}
	}
	return dirs
}

// places are control_socket and runtime_dir of the config file. A file that has errors
// by now may still name those that its manager was started with.
func (r *reach) places(ctx context.Context, std *streams) (socket, base string, err error) {
	if r.file == "" {
		return "", "", nil
	}
	if _, err := os.Stat(r.file); errors.Is(err, fs.ErrNotExist) {
		return "", "", nil // its manager may run all the same, where it is usual
	} else if err != nil {
		return "", "", fmt.Errorf("find the manager: %w", err)
	}
	cfg, _, err := loadConfig(ctx, std, r.file, config.Overrides{})
	if err != nil || cfg == nil {
		return "", "", err
	}
	return cfg.ControlSocket(), cfg.RuntimeDir(), nil
}

// ask asks who is at a socket.
func ask(ctx context.Context, socket string) (running, error) {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	client := control.NewClient(socket)
	self, err := client.Manager(ctx)
	return running{client: client, self: self}, err
}

// askAll asks who is in each of the runtime directories, all at a time: one that is
// silent holds up the others no longer than it would alone. The error is that of those
// who are there and do not say.
func askAll(ctx context.Context, dirs []string) (all []running, silent error) {
	found, errs := make([]running, len(dirs)), make([]error, len(dirs))
	var asking sync.WaitGroup
	for i, dir := range dirs {
		asking.Go(func() { found[i], errs[i] = ask(ctx, filepath.Join(dir, controlName)) })
	}
	asking.Wait()
	for i, err := range errs {
		switch {
		case err == nil:
			all = append(all, found[i])
		case !gone(err):
			silent = errors.Join(silent, err)
		}
	}
	return all, silent
}

// choose picks the manager of the config, or the only one.
func (r *reach) choose(all []running, denied error) (*control.Client, error) {
	var fit []running
	for _, m := range all {
		if r.file == "" || sameFile(m.self.Config, r.file) {
			fit = append(fit, m)
		}
	}
	switch {
	case len(fit) == 1:
		return fit[0].client, nil
	case len(fit) > 1 && r.file == "":
		return nil, &usageError{problem: fmt.Sprintf("%d managers run; name the one that is meant:%s", len(fit), list(fit))}
	case len(fit) > 1:
		return nil, &usageError{problem: fmt.Sprintf("%d managers run with this config; name the one that is meant:%s", len(fit), list(fit))}
	case denied != nil:
		return nil, r.explain(denied)
	}
	return nil, &exitError{code: exitUnreachable, err: &nobodyError{file: r.file, others: all}}
}

// nobodyError says that the manager that is meant is not among those that were found.
type nobodyError struct {
	file      string    // of its config; empty: any
	others    []running // of this user
	elsewhere []running // of other users, as they say
}

// Error says what to do.
func (e *nobodyError) Error() string {
	problem := "no manager of this user is found; one whose config has a runtime_dir is found with -c FILE; start one: " + programName + " -c FILE"
	if e.file != "" {
		problem = fmt.Sprintf("no manager is found that runs with this config (%s); start one: %s -c %s", absolute(e.file), programName, e.file)
		if _, err := os.Stat(e.file); errors.Is(err, fs.ErrNotExist) {
			problem = fmt.Sprintf("there is no such file (%s), and no manager is found that was started with it", absolute(e.file))
		}
	}
	if len(e.others) > 0 {
		problem += "; there are others:" + list(e.others)
	}
	if len(e.elsewhere) > 0 {
		problem += "; of other users there are:" + list(e.elsewhere)
	}
	return problem
}

// explain makes the error for a manager that cannot be talked to.
func (r *reach) explain(err error) error {
	if _, done := errors.AsType[*exitError](err); done {
		return err
	}
	refused, ok := errors.AsType[*control.AnswerError](err)
	switch {
	case errors.Is(err, fs.ErrPermission), ok && refused.Status == http.StatusForbidden:
		err = fmt.Errorf("permission denied: a manager answers its own user, root, and whom its config names (%w)", err)
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("a manager runs but does not answer: %w", err)
	case gone(err):
		err = fmt.Errorf("no manager runs there (any more): %w", err)
	}
	return &exitError{code: exitUnreachable, err: err}
}

// answered is the error of a request: what the manager said to it, unless it did not
// get that far, or that of writing down what it said.
func (r *reach) answered(err error) error {
	if refused, ok := errors.AsType[*control.AnswerError](err); ok && refused.Status != http.StatusForbidden {
		return err
	}
	if unwritten, ok := errors.AsType[*fs.PathError](err); ok && unwritten.Op == "write" {
		return err
	}
	return r.explain(err)
}

// list names managers, and how to talk to each.
func list(all []running) string {
	var b strings.Builder
	for _, m := range all {
		name := m.self.Config
		if name == "" {
			name = "no config file"
		}
		fmt.Fprintf(&b, "\n  process %d, %s: --socket %s", m.self.PID, plain(name), plain(m.client.Path()))
	}
	return b.String()
}

// sameFile tells whether two paths name the same config, also when a link that leads
// to it was switched meanwhile.
func sameFile(one, other string) bool {
	if one == "" {
		return false
	}
	if one == absolute(other) {
		return true
	}
	real1, err1 := filepath.EvalSymlinks(one)
	real2, err2 := filepath.EvalSymlinks(absolute(other))
	return err1 == nil && err2 == nil && real1 == real2
}

// gone tells whether an error says that nobody is at a socket: there is none, or it was
// left by a manager that died.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOTSOCK)
}
