package standalone_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
	"github.com/gearman-manager/gearman-manager/plugins/host"
	"github.com/gearman-manager/gearman-manager/plugins/standalone"
)

// gearmandOf starts a job server, and then a host of workers for it.
func gearmandOf(t *testing.T) (*bundle, *testutil.Gearmand) {
	t.Helper()
	server := testutil.StartGearmand(t)
	return setup(t, func(cfg *standalone.Config) { cfg.Servers = []string{server.Addr()} }), server
}

// needPecl finds a php with the extensions that the example needs.
func needPecl(t *testing.T) string {
	t.Helper()
	php := testutil.Need(t, "php", "php-cli")
	if exec.CommandContext(t.Context(), php, "-r", `exit(extension_loaded("gearman") && extension_loaded("pcntl") ? 0 : 1);`).Run() == nil {
		return php
	}
	if os.Getenv("CI") != "" {
		t.Fatal("php lacks the extension gearman or pcntl, and CI is set (Debian: php-gearman)")
	}
	t.Skip("php lacks the extension gearman or pcntl (Debian: php-gearman)")
	return ""
}

// wantRegistered waits until the job server counts so many workers.
func wantRegistered(t *testing.T, admin *gearclient.Admin, function string, want int) {
	t.Helper()
	testutil.WaitFor(t, "the workers of "+function, func() bool {
		all, err := admin.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			if s.Function == function {
				return s.Workers == want
			}
		}
		return want == 0
	})
}

func wantJob(t *testing.T, client *gearclient.Client, function, workload, want string) {
	t.Helper()
	got, err := client.Do(t.Context(), gearclient.Request{Function: function, Workload: []byte(workload)})
	if err != nil || strings.TrimSpace(string(got)) != want {
		t.Errorf("%s: %q, %v, want %q", function, got, err, want)
	}
}

// TestGearmanTool is a worker of Debian's gearman. It knows the job server by its
// environment, as all of libgearman does, and no signal.
func TestGearmanTool(t *testing.T) {
	tool := testutil.Need(t, "gearman", "gearman-tools")
	b, server := gearmandOf(t)
	w := b.start(t, host.Launch{Name: "reverse/1", Path: tool, Args: []string{"-w", "-f", "reverse", "--", "rev"}, Env: os.Environ()})
	admin, client := jobtest.NewAdmin(t, server.Addr()), jobtest.NewClient(t, server.Addr())
	wantRegistered(t, admin, "reverse", 1)
	wantJob(t, client, "reverse", "Hello World!\n", "!dlroW olleH")
	if err := w.Drain(t.Context(), "stop"); err != nil {
		t.Fatal(err)
	}
	if told := story(t, w); told[1] != "left: counters false" {
		t.Errorf("got %q", told)
	}
	wantRegistered(t, admin, "reverse", 0)
}

// TestExample is the example of a standalone worker, which leaves in good order.
func TestExample(t *testing.T) {
	php := needPecl(t)
	b, server := gearmandOf(t)
	file, err := filepath.Abs("../../examples/standalone/rot13.php")
	if err != nil {
		t.Fatal(err)
	}
	out := &printed{}
	w := b.start(t, host.Launch{Name: "rot13/1", Path: php, Args: []string{file}, Env: os.Environ(), Output: out.add})
	admin, client := jobtest.NewAdmin(t, server.Addr()), jobtest.NewClient(t, server.Addr())
	wantRegistered(t, admin, "rot13", 1) // and not twice
	wantJob(t, client, "rot13", "Hello World!", "Uryyb Jbeyq!")
	testutil.Pause(t, 1) // in which it looks for its signals
	wantJob(t, client, "rot13", "Uryyb Jbeyq!", "Hello World!")
	if err := w.Drain(t.Context(), "stop"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"retiring: drain", "left: counters false", "exited with status 0"}, story(t, w)); diff != "" {
		t.Error(diff)
	}
	if lines := out.all(); len(lines) > 0 {
		t.Errorf("it printed %q", lines)
	}
	wantRegistered(t, admin, "rot13", 0)
}

// TestJobInHand stops a worker in PHP that has a job: it does that, and leaves.
func TestJobInHand(t *testing.T) {
	php := needPecl(t)
	b, server := gearmandOf(t)
	out := &printed{}
	w := b.start(t, host.Launch{Name: "slow/1", Path: php, Args: []string{"testdata/slow.php"}, Env: os.Environ(), Output: out.add})
	client := jobtest.NewClient(t, server.Addr())
	answered := make(chan string, 1)
	go func() {
		got, err := client.Do(t.Context(), gearclient.Request{Function: "slow", Workload: []byte("one")})
		if err != nil {
			got = []byte(err.Error())
		}
		answered <- string(got)
	}()
	out.await(t, "begins one")
	if err := w.Drain(t.Context(), "stop"); err != nil {
		t.Fatal(err)
	}
	if got := testutil.Receive(t, "the answer", answered); got != "done one, was told" {
		t.Errorf("got %q", got)
	}
	if told := story(t, w); told[len(told)-1] != "exited with status 0" {
		t.Errorf("got %q", told)
	}
}
