package fleet

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// pluginTemplate is the plugin that releases are made of.
var pluginTemplate = sync.OnceValues(func() ([]byte, error) { return os.ReadFile(filepath.Join(bin, "release", "release")) })

// pluginRelease is a plugin of some version that performs the functions.
func pluginRelease(tb testing.TB, version string, functions ...string) []byte {
	tb.Helper()
	template, err := pluginTemplate()
	if err != nil {
		tb.Fatal(err)
	}
	const head = "release-label|"
	at := bytes.Index(template, []byte(head+"version."))
	if at < 0 {
		tb.Fatal("the template of plugins has no label")
	}
	fill := func(text, old string) string {
		if len(text) > len(old) {
			tb.Fatalf("%q is too long for the label of a plugin", text)
		}
		return text + strings.Repeat(" ", len(old)-len(text))
	}
	parts := strings.SplitN(string(template[at+len(head):at+len(head)+80]), "|", 3)
	release := bytes.Clone(template)
	copy(release[at+len(head):], fill(version, parts[0])+"|"+fill(strings.Join(functions, " "), parts[1]))
	return release
}

// phpRelease is a PHP file of some version; "broken" cannot be loaded.
func phpRelease(tb testing.TB, version, function string) []byte {
	tb.Helper()
	text := strings.ReplaceAll(strings.ReplaceAll(source(tb, "release.php"), "FUNCTION_NAME", function), "VERSION", version)
	if version == "broken" {
		text += "\n}}} this release is broken\n"
	}
	return []byte(text)
}

// execRelease is an executable of some version.
func execRelease(tb testing.TB, version string) []byte {
	tb.Helper()
	return []byte(strings.ReplaceAll(source(tb, "release.sh"), "VERSION", version))
}

func source(tb testing.TB, name string) string {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("release", name))
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// release is a program of the version as a file of that name: a plugin if it has no
// extension and function is not "tool".
func release(tb testing.TB, name, version string) []byte {
	tb.Helper()
	switch {
	case strings.HasSuffix(name, ".php"):
		return phpRelease(tb, version, strings.TrimSuffix(filepath.Base(name), ".php"))
	case strings.HasSuffix(name, ".sh"):
		return execRelease(tb, version)
	default:
		return pluginRelease(tb, version, filepath.Base(name))
	}
}

// place writes a file beside its place and moves it there, as a careful deployment does.
func (f *reloadFleet) place(path string, content []byte) {
	f.tb.Helper()
	aside := filepath.Join(f.dir, "aside-"+filepath.Base(path))
	f.write(aside, content)
	f.move(aside, path)
}

// write writes a file that may be executed.
func (f *reloadFleet) write(path string, content []byte) {
	f.tb.Helper()
	if err := os.WriteFile(path, content, 0o700); err != nil {
		f.tb.Fatal(err)
	}
}

func (f *reloadFleet) move(from, to string) {
	f.tb.Helper()
	if err := os.Rename(from, to); err != nil {
		f.tb.Fatal(err)
	}
}

func (f *reloadFleet) remove(path string) {
	f.tb.Helper()
	if err := os.Remove(path); err != nil {
		f.tb.Fatal(err)
	}
}

func (f *reloadFleet) mkdir(path string) string {
	f.tb.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		f.tb.Fatal(err)
	}
	return path
}

// link makes or replaces a symbolic link at once.
func (f *reloadFleet) link(target, path string) {
	f.tb.Helper()
	aside := fmt.Sprintf("%s.%d", path, len(target))
	if err := os.Symlink(target, aside); err != nil {
		f.tb.Fatal(err)
	}
	f.move(aside, path)
}
