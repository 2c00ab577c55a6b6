package fleet

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
)

// waitLog waits until the log holds every text.
func (f *fleet) waitLog(texts ...string) {
	f.tb.Helper()
	testutil.WaitFor(f.tb, "the log to say "+strings.Join(texts, ", "), func() bool {
		for _, text := range texts {
			if !strings.Contains(f.log.String(), text) {
				return false
			}
		}
		return true
	})
}

// TestBrokenPrograms puts programs that are broken in every way beside good
// ones: each is named in the log, and the good ones work.
func TestBrokenPrograms(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	dir := filepath.Join(f.dir, "broken")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write("noshebang", "echo this has no first line that names an interpreter\n")
	write("nointerpreter", "#!/no/such/interpreter\n")
	write("fails", "#!/bin/sh\necho the disk is full >&2\nexit 3\n")
	write("crashes", "#!/bin/sh\nkill -SEGV $$\n")
	f.copyFile(filepath.Join(bin, "old/oldworker"), filepath.Join(dir, "oldworker"))
	f.halfPlugin(filepath.Join(dir, "halfcopied"))
	f.start("[GearmanManager]\nworker_dir = PLUGINS," + dir + "\nhost = SERVER\nexclude = sleep,flood,die,panic,size,countdown\n[nosuch]\ndedicated_count=3\n")
	f.waitRegistered(map[string]int{"reverse": 1, "echo": 1, "fails": 1, "crashes": 1})
	if got, err := f.do("reverse", "abc"); got != "cba" {
		t.Errorf("the good worker: %q, %v", got, err)
	}
	for function, want := range map[string][]string{
		"fails":   {"status 3", "the disk is full"},
		"crashes": {"SIGSEGV"},
	} {
		_, err := f.do(function, "x")
		for _, text := range want {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: the client was told %v, want %q in it", function, err, text)
			}
		}
	}
	f.waitLog(
		dir+"/noshebang is neither", dir+"/nointerpreter wants the interpreter /no/such/interpreter",
		dir+"/oldworker is not run", "it speaks version 99", dir+"/halfcopied is an incomplete binary", "nosuch",
	)
	if strings.Contains(f.log.String(), "goroutine ") {
		t.Errorf("a stack trace in the log:\n%s", f.log)
	}
}

// copyFile copies a program.
func (f *fleet) copyFile(from, to string) {
	f.tb.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		f.tb.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o755); err != nil {
		f.tb.Fatal(err)
	}
}

// halfPlugin writes a plugin that was copied by half: what recognises it is
// there, and running it fails.
func (f *fleet) halfPlugin(to string) {
	f.tb.Helper()
	b, err := os.ReadFile(filepath.Join(bin, "plugins/reverse"))
	if err != nil {
		f.tb.Fatal(err)
	}
	if err := os.WriteFile(to, b[:len(b)/2], 0o755); err != nil {
		f.tb.Fatal(err)
	}
}

// TestWorkloads sends workloads that are hard to carry.
func TestWorkloads(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.start("[GearmanManager]\nworker_dir = PLUGINS\nhost = SERVER\ninclude = echo,size,cat,count\n[cat]\ncommand = cat\n[count]\ncommand = wc -c\n")
	f.waitRegistered(map[string]int{"echo": 1, "size": 1, "cat": 1, "count": 1})
	for name, workload := range map[string]string{
		"empty": "", "NULs": "\x00a\x00\x00b\x00", "all bytes": allBytes(), "a line end": "\n",
	} {
		for _, function := range []string{"echo", "cat"} {
			if got, err := f.do(function, workload); got != workload || err != nil {
				t.Errorf("%s of %s: %q, %v", function, name, got, err)
			}
		}
	}
}

func allBytes() string {
	var b strings.Builder
	for i := range 256 {
		b.WriteByte(byte(i))
	}
	return b.String()
}

// TestWorkloadsAtTheCap sends 64 MiB, which is done, and one byte more, which
// is answered with an exception that names both sizes, and leaves the worker as
// it was.
func TestWorkloadsAtTheCap(t *testing.T) {
	f := newFleet(t)
	f.start("[GearmanManager]\nworker_dir = PLUGINS\nhost = SERVER\ninclude = echo,size,cat,count\n[cat]\ncommand = cat\n[count]\ncommand = wc -c\n")
	f.waitRegistered(map[string]int{"size": 1, "count": 1})
	before := f.workers()
	exactly := strings.Repeat("x", 64<<20)
	for _, function := range []string{"size", "count"} {
		if got, err := f.do(function, exactly); strings.TrimSpace(got) != "67108864" {
			t.Errorf("%s of 64 MiB: %q, %v", function, got, err)
		}
		_, err := f.do(function, exactly+"x")
		if err == nil || !strings.Contains(err.Error(), "67108865") || !strings.Contains(err.Error(), "67108864") {
			t.Errorf("%s of 64 MiB and a byte: %v, want both sizes", function, err)
		}
		if got, err := f.do(function, "small"); strings.TrimSpace(got) != "5" {
			t.Errorf("%s afterwards: %q, %v", function, got, err)
		}
	}
	for name, pid := range f.workers() {
		if before[name] != pid {
			t.Errorf("worker %s was replaced", name)
		}
	}
}

// TestServersThatAreNone starts a fleet on a port where nobody listens and on
// one where something else does, beside a good one; then the missing one
// appears.
func TestServersThatAreNone(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	stranger := strangeServer(t)
	missing := testutil.FreePort(t)
	f.start("[GearmanManager]\nworker_dir = PLUGINS\nhost = SERVER," + stranger + ",127.0.0.1:" + missing + "\ninclude = echo\ndedicated_count = 2\n")
	f.waitRegistered(map[string]int{"echo": 2})
	if got, err := f.do("echo", "x"); got != "x" {
		t.Errorf("the good server: %q, %v", got, err)
	}
	f.waitLog(stranger, "127.0.0.1:"+missing, "no Gearman job server")
	late := testutil.StartGearmandAt(t, missing)
	client := jobtest.NewClient(t, late.Addr())
	if got, err := client.Do(f.ctx(), gearclient.Request{Function: "echo", Workload: []byte("late")}); string(got) != "late" {
		t.Errorf("the server that came late: %q, %v", got, err)
	}
	if n := strings.Count(f.log.String(), "is not reachable"); n != 2 {
		t.Errorf("%d lines about servers that are not reachable, want one for each of the two:\n%s", n, f.log)
	}
}

// strangeServer is one that speaks, but not Gearman.
func strangeServer(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { // ends with the listener
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("220 mail.example ESMTP, go ahead\r\n"))
			_ = conn.Close()
		}
	}()
	return l.Addr().String()
}
