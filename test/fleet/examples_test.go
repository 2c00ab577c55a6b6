package fleet

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// startExample starts the fleet of an example's config as it is in the source
// tree, on the test's own server. What the config says of paths is seen from
// a directory that looks like the tree after "make build".
func (f *fleet) startExample(config string) {
	f.tb.Helper()
	root := filepath.Join(f.dir, "tree")
	if err := os.MkdirAll(filepath.Join(root, "bin"), 0o755); err != nil {
		f.tb.Fatal(err)
	}
	for link, target := range map[string]string{"examples": "../../examples", "bin/examples": filepath.Join(bin, "examples")} {
		path, err := filepath.Abs(target)
		if err == nil {
			err = os.Symlink(path, filepath.Join(root, link))
		}
		if err != nil {
			f.tb.Fatal(err)
		}
	}
	f.run(root, nil, "-c", "examples/"+config, "-h", f.server.Addr(), "-v")
}

// wantJob has a job done and compares its answer.
func (f *fleet) wantJob(function, workload, want string) {
	f.tb.Helper()
	if got, err := f.do(function, workload); err != nil || strings.TrimSpace(got) != want {
		f.tb.Errorf("%s: %q, %v, want %q", function, got, err, want)
	}
}

// stopCleanly stops the fleet and looks in the log for anything that an example
// should not cause. Workers of managers that other tests have killed are noticed
// by every manager of the machine, and do not count.
func (f *fleet) stopCleanly() {
	f.tb.Helper()
	f.signal(syscall.SIGTERM)
	f.waitExit()
	f.waitNobody()
	for line := range strings.Lines(f.log.String()) {
		if (strings.Contains(line, " WRN ") || strings.Contains(line, " ERR ")) && !strings.Contains(line, "worker of an earlier manager") {
			f.tb.Errorf("the manager complains: %s", line)
		}
	}
}

func TestExampleConfig(t *testing.T) {
	t.Parallel()
	testutil.Need(t, "python3", "python3")
	testutil.Need(t, "php", "php-cli")
	f := newFleet(t)
	f.startExample("config.ini")
	f.waitRegistered(map[string]int{"reverse": 2, "countdown": 2, "thumbnail": 2, "wordcount": 2, "wc": 2, "slug": 2, "Histogram": 2})
	f.wantJob("reverse", "Hello World!", "!dlroW olleH")
	f.wantJob("wc", "a\nb\n", "2")
	f.wantJob("wordcount", "one two three", "3")
	f.wantJob("countdown", "1", "lift-off")
	f.wantJob("slug", "  Hello, World! ", "hello-world")
	f.wantJob("Histogram", "A rose is\na rose,\nnot a tulip", `{"rose":2,"not":1,"tulip":1}`)
	f.stopCleanly()
}

// TestExampleConfigAdvanced runs four workers of the shared pool of executables,
// and four of that of PHP files, and one, two or five dedicated ones for each
// function.
func TestExampleConfigAdvanced(t *testing.T) {
	t.Parallel()
	testutil.Need(t, "python3", "python3")
	testutil.Need(t, "php", "php-cli")
	f := newFleet(t)
	f.startExample("config-advanced.ini")
	f.waitRegistered(map[string]int{"reverse": 5, "thumbnail": 6, "wordcount": 5, "wc": 5, "checksum": 5, "slug": 5, "Histogram": 5, "countdown": 0})
	f.wantJob("reverse", "Hello World!", "!dlroW olleH")
	f.wantJob("checksum", "abc", fmt.Sprintf("%x", sha256.Sum256([]byte("abc"))))
	f.wantThumbnail()
	f.wantHistogram()
	f.stopCleanly()
}

// wantThumbnail sends a picture of 128 by 32 pixels of one colour, and looks at
// the size and the colour of the answer and at the progress that was reported.
func (f *fleet) wantThumbnail() {
	f.tb.Helper()
	picture := append([]byte("P6\n128 32\n255\n"), bytes.Repeat([]byte{10, 200, 30}, 128*32)...)
	var last gearclient.Update
	reports := 0
	result, err := f.client.Do(f.ctx(), gearclient.Request{Function: "thumbnail", Workload: picture, OnUpdate: func(u gearclient.Update) {
		if u.Kind == gearclient.UpdateStatus {
			last = u
			reports++
		}
	}})
	want := append([]byte("P6\n64 16\n255\n"), bytes.Repeat([]byte{10, 200, 30}, 64*16)...)
	if err != nil || !bytes.Equal(result, want) {
		f.tb.Errorf("thumbnail: %d bytes that begin with %.13q, %v; want %d bytes that begin with %.13q", len(result), result, err, len(want), want)
	}
	if reports == 0 || last.Numerator != 16 || last.Denominator != 16 {
		f.tb.Errorf("thumbnail: %d reports of progress, the last one %d/%d, want 16/16", reports, last.Numerator, last.Denominator)
	}
	if _, err := f.do("thumbnail", "P5 1 1 255 x"); err == nil || !strings.Contains(err.Error(), "want a PPM picture") {
		f.tb.Errorf("thumbnail of no picture: %v", err)
	}
}

// wantHistogram sends lines, and looks at the progress that was reported of each
// of them.
func (f *fleet) wantHistogram() {
	f.tb.Helper()
	said := traceJob(f.tb, f.client, "Histogram", "the first\nand the second")
	want := []string{"status 1/2", "status 2/2", `complete {"first":1,"second":1}`}
	if !slices.Equal(said, want) {
		f.tb.Errorf("Histogram: %q, want %q", said, want)
	}
}
