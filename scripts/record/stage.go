package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// place is where the fleet lives. Its name is in the recording.
	place = "/tmp/fleet"
	// nobody is the user who runs it when root records.
	nobody = 65534
	// startLimit and stopLimit are the longest that a program may take for it.
	startLimit, stopLimit = 20 * time.Second, 10 * time.Second
)

// config is that of the fleet; the port of the job server is filled in.
const config = `[GearmanManager]
host = 127.0.0.1:%d
worker_dir = workers
auto_update = 1
log_file = fleet.log
dedicated_count = 2

[countdown]
dedicated_count = 4
`

// stage is the directory of the fleet and what runs in it.
type stage struct {
	port     int
	programs []*exec.Cmd
	load     *load
}

// build makes the directory with programs, workers, and their next version.
func build(ctx context.Context) (s *stage, err error) {
	if err := os.Mkdir(place, 0o755); err != nil {
		return nil, fmt.Errorf("make a place for the fleet: %w", err)
	}
	s = &stage{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.clear())
		}
	}()
	for _, dir := range []string{"bin", "workers", "next", "run", "tmp"} {
		if err := os.Mkdir(filepath.Join(place, dir), 0o700); err != nil {
			return nil, fmt.Errorf("make directory: %w", err)
		}
	}
	overlay, err := nextVersion()
	if err != nil {
		return nil, err
	}
	for _, args := range [][]string{
		{"-o", place + "/bin/", "./cmd/gearman-manager"},
		{"-o", place + "/workers/", "./examples/reverse"},
		{"-o", place + "/next/", "-overlay", overlay, "./examples/reverse"},
	} {
		if err := compile(ctx, args); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"slug.php", "wordcount.sh"} {
		if err := copyFile(filepath.Join("examples/workers", name), filepath.Join(place, "workers", name)); err != nil {
			return nil, err
		}
	}
	if s.port, err = freePort(ctx); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(place, "fleet.ini"), fmt.Appendf(nil, config, s.port), 0o600); err != nil {
		return nil, fmt.Errorf("write config: %w", err)
	}
	return s, own()
}

// nextVersion writes what the compiler takes in place of the source of the example
// plugin: the same with another version.
func nextVersion() (overlay string, err error) {
	source, err := filepath.Abs("examples/reverse/main.go")
	if err != nil {
		return "", fmt.Errorf("find example: %w", err)
	}
	data, err := os.ReadFile(source)
	if err != nil {
		return "", fmt.Errorf("read example: %w", err)
	}
	next := strings.Replace(string(data), `"1.0"`, `"1.1"`, 1)
	changed, overlay := filepath.Join(place, "tmp", "main.go"), filepath.Join(place, "tmp", "overlay.json")
	text := fmt.Sprintf(`{"Replace": {%q: %q}}`, source, changed)
	if err := errors.Join(os.WriteFile(changed, []byte(next), 0o600), os.WriteFile(overlay, []byte(text), 0o600)); err != nil {
		return "", fmt.Errorf("write next version: %w", err)
	}
	return overlay, nil
}

func compile(ctx context.Context, args []string) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-buildvcs=false", "-trimpath"}, args...)...) //nolint:forbidigo // a tool of its own, which is not shipped
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil { //nolint:forbidigo // as above
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return nil
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o755) //nolint:gosec // a program
	}
	if err != nil {
		return fmt.Errorf("copy worker: %w", err)
	}
	return nil
}

func freePort(ctx context.Context) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find free port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return 0, fmt.Errorf("find free port: %w", err)
	}
	return port, nil
}

// own gives the place to the user who is to run the fleet.
func own() error {
	if os.Geteuid() != 0 {
		return nil
	}
	return filepath.Walk(place, func(path string, _ os.FileInfo, err error) error {
		if err != nil {
			return fmt.Errorf("give away %s: %w", path, err)
		}
		return os.Lchown(path, nobody, nobody)
	})
}

// command is a program that runs in the place, as its user.
func (s *stage) command(ctx context.Context, argv ...string) *exec.Cmd {
	if path := filepath.Join(place, "bin", argv[0]); argv[0] == "gearman-manager" {
		argv[0] = path
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), argv[0], argv[1:]...) //nolint:forbidigo // a tool of its own; it is stopped in order
	cmd.Dir = place
	cmd.Env = []string{
		"PATH=" + place + "/bin:/usr/local/bin:/usr/bin:/bin", "HOME=" + place, "PWD=" + place, "TMPDIR=" + place + "/tmp",
		"XDG_RUNTIME_DIR=" + place + "/run", "TERM=xterm-256color", "LANG=C.UTF-8", "TZ=UTC", "PS1=$ ",
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return cmd
}

// open starts job server, manager and load.
func (s *stage) open(ctx context.Context) error {
	for _, argv := range [][]string{
		{"gearman-manager", "server", "--port", strconv.Itoa(s.port), "--job-handle-prefix", "H:fleet"},
		{"gearman-manager", "-c", "fleet.ini"},
	} {
		cmd := s.command(ctx, argv...)
		if err := cmd.Start(); err != nil { //nolint:forbidigo // as above
			return errors.Join(fmt.Errorf("start %s: %w", argv[1], err), s.close())
		}
		s.programs = append(s.programs, cmd)
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for s.command(ctx, "gearman-manager", "status", "--ready").Run() != nil { //nolint:forbidigo // as above
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return errors.Join(fmt.Errorf("start fleet: %w", err), s.close())
		}
	}
	var err error
	if s.load, err = startLoad(ctx, s.port); err != nil {
		return errors.Join(err, s.close())
	}
	return pause(ctx, 2*time.Second) // until there is something to see
}

// close stops what runs, the youngest first.
func (s *stage) close() error {
	var errs []error
	if s.load != nil {
		errs = append(errs, s.load.stop())
	}
	for _, program := range slices.Backward(s.programs) {
		errs = append(errs, stop(program))
	}
	s.programs, s.load = nil, nil
	return errors.Join(errs...)
}

// stop asks a program to end and kills it when it does not.
func stop(cmd *exec.Cmd) error {
	_ = cmd.Process.Signal(syscall.SIGTERM) //nolint:forbidigo // as above; it may be gone already
	timer := time.AfterFunc(stopLimit, func() {
		_ = cmd.Process.Kill() //nolint:forbidigo // as above
	})
	defer timer.Stop()
	if err := cmd.Wait(); err != nil { //nolint:forbidigo // as above
		return fmt.Errorf("stop %s: %w", filepath.Base(cmd.Path), err)
	}
	return nil
}

// clear removes the place.
func (s *stage) clear() error { return os.RemoveAll(place) }

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
