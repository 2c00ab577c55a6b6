package config_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/config"
)

// set is one change.
func set(section, key, value string) []config.Change {
	return []config.Change{{Section: section, Key: key, Value: value}}
}

// TestSave compares files before and after a change.
func TestSave(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before  string
		changes []config.Change
		after   string
	}{
		"a value":                 {"; top\n[resize] ; r\ncount = 5 ; five\n; end\n", set("resize", "count", "8"), "; top\n[resize] ; r\ncount = 8 ; five\n; end\n"},
		"nothing to change":       {"[resize]\ncount=\t5", set("resize", "count", "5"), "[resize]\ncount=\t5"},
		"a comment without space": {"[resize]\ncount=5;five\n", set("resize", "count", "10"), "[resize]\ncount=10;five\n"},
		"dos line ends":           {"[resize]\r\ncount = 5\r\n\r\n[thumb]\r\n", append(set("resize", "timeout", "7"), set("thumb", "count", "1")...), "[resize]\r\ncount = 5\r\ntimeout = 7\r\n\r\n[thumb]\r\ncount = 1\r\n"},
		"old line ends":           {"[a]\rcount = 5\r", set("b", "count", "1"), "[a]\rcount = 5\r\r[b]\rcount = 1\r"},
		"a byte order mark":       {"\ufeff[resize]\ncount = 5\n", set("resize", "count", "8"), "\ufeff[resize]\ncount = 8\n"},
		"double quotes":           {"[resize]\ncount = \"5\"\t; x\n", set("resize", "count", "8"), "[resize]\ncount = \"8\"\t; x\n"},
		"single quotes":           {"[GearmanManager]\nprefix = 'a;b' ; x\n", set("GearmanManager", "prefix", "c;d"), "[GearmanManager]\nprefix = 'c;d' ; x\n"},
		"what needs quotes":       {"[GearmanManager]\nprefix = a\n", set("GearmanManager", "prefix", "c;d=\"$x\" ${y}"), "[GearmanManager]\nprefix = \"c;d=\\\"\\$x\\\" \\${y}\"\n"},
		"a word that needs them":  {"[GearmanManager]\nprefix = a\n", set("GearmanManager", "prefix", "none"), "[GearmanManager]\nprefix = \"none\"\n"},
		"a switch":                {"[resize]\ndedicated_only = no\n", set("resize", "dedicated_only", "on"), "[resize]\ndedicated_only = on\n"},
		"a switch that is so":     {"[resize]\ndedicated_only = yes\n", set("resize", "dedicated_only", "1"), "[resize]\ndedicated_only = yes\n"},
		"off to zero":             {"[resize]\ntimeout = off\n", set("resize", "timeout", "0"), "[resize]\ntimeout = off\n"},
		"a text of two lines":     {"[GearmanManager]\nprefix = \"a\n; b\" ; x\ncount = 1\n", set("GearmanManager", "prefix", "c"), "[GearmanManager]\nprefix = \"c\" ; x\ncount = 1\n"},
		"the last of two":         {"[resize]\ncount = 5\ncount = 6\n", set("resize", "count", "7"), "[resize]\ncount = 5\ncount = 7\n"},
		"an empty value":          {"[resize]\ncount =\n", set("resize", "count", "7"), "[resize]\ncount = 7\n"},
		"an empty tight value":    {"[resize]\ncount=\n", set("resize", "count", "7"), "[resize]\ncount=7\n"},
		"an empty value and a comment": {
			"[resize]\ncount = ; none\n[a]\ncount =; none\n", append(set("resize", "count", "7"), set("a", "count", "8")...), "[resize]\ncount = 7 ; none\n[a]\ncount = 8 ; none\n",
		},
		"no value any more":         {"[resize]\ncount = 7 ; x\n", set("resize", "count", ""), "[resize]\ncount = \"\" ; x\n"},
		"a key":                     {"[resize]\ncount = 5 ; x\n; timeout = 3\n\n; about thumb\n[thumb]\n", set("resize", "timeout", "7"), "[resize]\ncount = 5 ; x\ntimeout = 7\n; timeout = 3\n\n; about thumb\n[thumb]\n"},
		"a key in an empty section": {"[a]\n\tcount=5\n[resize] ; r\n; about thumb\n[thumb]\n", set("resize", "count", "7"), "[a]\n\tcount=5\n[resize] ; r\n\tcount=7\n; about thumb\n[thumb]\n"},
		"aligned keys":              {"[resize]\n  dedicated_count = 5\n  count           = 6\n", set("resize", "timeout", "7"), "[resize]\n  dedicated_count = 5\n  count           = 6\n  timeout         = 7\n"},
		"a key longer than those":   {"[resize]\nmode  = php\ncount = 6\n", set("resize", "dedicated_count", "7"), "[resize]\nmode  = php\ncount = 6\ndedicated_count = 7\n"},
		"keys of one width":         {"[resize]\ncount=5\n", set("resize", "timeout", "7"), "[resize]\ncount=5\ntimeout=7\n"},
		"no line end":               {"[resize]\ncount = 5", set("resize", "timeout", "7"), "[resize]\ncount = 5\ntimeout = 7"},
		"no line end at a section":  {"[resize]", set("resize", "timeout", "7"), "[resize]\ntimeout = 7"},
		"a key behind two lines":    {"[resize]\nwatch = 'a\nb' ; x", set("resize", "timeout", "7"), "[resize]\nwatch = 'a\nb' ; x\ntimeout = 7"},
		"a section": {
			"[GearmanManager]\ncount=5\n", append(set("resize", "count", "7"), set("resize", "timeout", "8")...), "[GearmanManager]\ncount=5\n\n[resize]\ncount=7\ntimeout=8\n",
		},
		"a section behind no line end": {"[a]\ncount = 5 ; x", set("resize", "count", "7"), "[a]\ncount = 5 ; x\n\n[resize]\ncount = 7\n"},
		"a section behind blank lines": {"[a]\n\n\n", set("resize", "count", "7"), "[a]\n\n\n[resize]\ncount = 7\n"},
		"a section behind spaces":      {"[a]\n  ", set("resize", "count", "7"), "[a]\n  \n[resize]\ncount = 7\n"},
		"a section in an empty file":   {"", set("resize", "count", "7"), "[resize]\ncount = 7\n"},
		"a section of an odd name":     {"[a]\n", set("x];'y", "count", "7"), "[a]\n\n[\"x];'y\"]\ncount = 7\n"},
		"a key of that section":        {"[\"x];'y\"]\n", set("x];'y", "count", "7"), "[\"x];'y\"]\ncount = 7\n"},
		"a command":                    {"[a]\ncommand = wc -l ; lines\n", set("a", "command", "sh -c 'a; b' \"$X\""), "[a]\ncommand = sh -c 'a; b' \"$X\" ; lines\n"},
		"a command with a comment":     {"[a]\ncommand = wc -l ; lines\n", set("a", "command", "a ;b"), "[a]\ncommand = \"a ;b\" ; lines\n"},
		"a command with no variable":   {"[a]\ncommand = wc\n", set("a", "command", "sh -c \"${X}\""), "[a]\ncommand = \"sh -c \\\"\\${X}\\\"\"\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := tree(t, t.TempDir(), map[string]string{"config.ini": c.before})
			path := filepath.Join(dir, "config.ini")
			if err := config.Save(path, c.changes); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.after, read(t, path)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			onlyFiles(t, dir, "config.ini")
		})
	}
}

// read returns the content of a file.
func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// onlyFiles fails when something else is in the directory.
func onlyFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

// TestSaveRefuses: a typed error that says why, and the file is as it was.
func TestSaveRefuses(t *testing.T) {
	t.Setenv("TEST_COUNT", "3")
	const file = "[GearmanManager]\ncount = 5\nhost[] = a\n\n[resize]\ncount = ${TEST_COUNT}\ntimeout = \"1${TEST_COUNT}\"\ncommand = wc ${TEST_COUNT}\n"
	for name, c := range map[string]struct {
		file    string
		changes []config.Change
		want    string
	}{
		"unknown key":      {file, set("resize", "cuont", "8"), "save PATH: [resize] cuont: there is no such key there, want a key of the reference"},
		"wrong section":    {file, set("resize", "host", "b"), "save PATH: [resize] host: there is no such key there, want a key of the reference"},
		"wrong value":      {file, set("GearmanManager", "count", "many"), "save PATH: [GearmanManager] count: \"many\" is no number, want a whole number from 0 to 10000"},
		"clamped value":    {file, set("resize", "priority", "9"), "save PATH: [resize] priority: 9 is taken as 5, want a number from -5 to 5"},
		"two lines":        {file, set("GearmanManager", "prefix", "a\nb"), "save PATH: [GearmanManager] prefix: the value has more than one line, want one"},
		"no function":      {file, set("a b", "count", "1"), "save PATH: [a b] count: \"a b\" cannot be a function's name: it holds a space or a control character, want visible characters only"},
		"odd function":     {file, set("a\"'b", "count", "1"), "save PATH: [a\"'b] count: it cannot be written in an ini file, want plain text"},
		"a list":           {file, set("GearmanManager", "host", "b"), "save PATH:3: [GearmanManager] host: the value is a list, want it changed by hand"},
		"a variable":       {file, set("resize", "count", "8"), "save PATH:6: [resize] count: a variable of the environment stands in the value, want it changed there, or the value by hand"},
		"the same value":   {file, set("resize", "count", "3"), "save PATH:6: [resize] count: a variable of the environment stands in the value, want it changed there, or the value by hand"},
		"a quoted one":     {file, set("resize", "timeout", "8"), "save PATH:7: [resize] timeout: a variable of the environment stands in the value, want it changed there, or the value by hand"},
		"one in a command": {file, set("resize", "command", "x"), "save PATH:8: [resize] command: a variable of the environment stands in the value, want it changed there, or the value by hand"},
		"the second of two": {
			file, append(set("GearmanManager", "count", "8"), set("resize", "count", "8")...),
			"save PATH:6: [resize] count: a variable of the environment stands in the value, want it changed there, or the value by hand",
		},
		"a broken file":   {"[a\ncount = 1\n", set("a", "count", "8"), "save PATH:1: [a]: the file has an error: the section is not closed, want [name]"},
		"a section twice": {"[a]\n[b]\n[a]\n", set("a", "count", "8"), "save PATH:3: [a]: the file has an error: the section stands twice, first in line 1, want one section for each function"},
	} {
		dir := tree(t, t.TempDir(), map[string]string{"config.ini": c.file})
		path := filepath.Join(dir, "config.ini")
		err := config.Save(path, c.changes)
		wantSaveError(t, name, err, strings.ReplaceAll(c.want, "PATH", path))
		if got := read(t, path); got != c.file {
			t.Errorf("%s: the file has become %q", name, got)
		}
		onlyFiles(t, dir, "config.ini")
	}
}

// wantSaveError wants a typed error of this text.
func wantSaveError(t *testing.T, name string, err error, want string) {
	t.Helper()
	if e, ok := errors.AsType[*config.SaveError](err); !ok || e.Error() != want {
		t.Errorf("%s: %v\nwant %s", name, err, want)
	}
}

// TestSaveWhere refuses what is no ini file.
func TestSaveWhere(t *testing.T) {
	t.Parallel()
	dir := tree(t, t.TempDir(), map[string]string{"config.PHP": "<?php\n", "pipe.ini": "|", "dir.ini/": ""})
	for name, want := range map[string]string{
		"config.PHP": "save DIR/config.PHP: a config in PHP cannot be changed, want the value changed by hand",
		"pipe.ini":   "save DIR/pipe.ini: this is no regular file, want an ini file",
		"dir.ini":    "save DIR/dir.ini: this is a directory, want an ini file",
		"none.ini":   "save DIR/none.ini: the config file cannot be found (lstat DIR/none.ini: no such file or directory)",
	} {
		wantSaveError(t, name, config.Save(filepath.Join(dir, name), set("a", "count", "1")), strings.ReplaceAll(want, "DIR", dir))
	}
	if err := config.Save(filepath.Join(dir, "none.ini"), set("a", "count", "1")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
	wantSaveError(t, "no file", config.Save("", set("a", "count", "1")), "save there is no config file, want one that is named with -c")
}

// TestSaveInIncludedFile saves a value where its section stands, and nowhere else.
func TestSaveInIncludedFile(t *testing.T) {
	t.Parallel()
	const main = "[GearmanManager]\ninclude = d/*.ini\n"
	dir := tree(t, t.TempDir(), map[string]string{"config.ini": main, "d/a.ini": "; a\n[a]\n"})
	path := filepath.Join(dir, "config.ini")
	cfg, _ := config.Load(path, nil)
	wantSaveError(t, "elsewhere", config.Save(path, set("a", "count", "2")), "save "+path+": [a] count: the section stands in "+dir+"/d/a.ini, want the value saved there")
	if err := config.Save(cfg.FileOf("a"), set("a", "count", "2")); err != nil {
		t.Fatal(err)
	}
	if err := config.Save(cfg.FileOf("b"), set("b", "count", "3")); err != nil {
		t.Fatal(err)
	}
	if read(t, filepath.Join(dir, "d/a.ini")) != "; a\n[a]\ncount = 2\n" || read(t, path) != main+"\n[b]\ncount = 3\n" {
		t.Errorf("%q and %q", read(t, filepath.Join(dir, "d/a.ini")), read(t, path))
	}
}

// TestSaveKeepsTheFile: mode and symbolic links stay, and for root owner and group.
func TestSaveKeepsTheFile(t *testing.T) {
	t.Parallel()
	dir := tree(t, t.TempDir(), map[string]string{"etc/config.ini": "->../a/config.ini", "a/config.ini": "->../b/real.ini", "b/real.ini": "[a]\ncount = 1\n"})
	path, real := filepath.Join(dir, "etc/config.ini"), filepath.Join(dir, "b/real.ini")
	if err := os.Chmod(real, 0o640); err != nil {
		t.Fatal(err)
	}
	root := os.Geteuid() == 0
	if root {
		if err := os.Chown(real, 1234, 2345); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.Stat(real)
	if err != nil {
		t.Fatal(err)
	}
	if err := config.Save(path, set("a", "count", "2")); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(real)
	if err != nil {
		t.Fatal(err)
	}
	if read(t, path) != "[a]\ncount = 2\n" || after.Mode() != before.Mode() || os.SameFile(before, after) {
		t.Errorf("%q, mode %v, want %v and another file", read(t, path), after.Mode(), before.Mode())
	}
	for _, link := range []string{"etc/config.ini", "a/config.ini"} {
		if info, err := os.Lstat(filepath.Join(dir, link)); err != nil || info.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("%s is no link any more: %v, %v", link, info, err)
		}
	}
	if root {
		checkOwner(t, real, 1234, 2345)
	}
	onlyFiles(t, filepath.Join(dir, "b"), "real.ini")
}

// TestSaveByOneWhoMayNot: the file may be written but not its directory, or the other way round. Root may do everything, so it is tried as
// another user.
func TestSaveByOneWhoMayNot(t *testing.T) {
	for name, c := range map[string]struct {
		file, dir os.FileMode
		want      string
	}{
		"directory": {0o666, 0o555, "the directory of the config file cannot be written to, which replacing it takes, want write permission there for who saves it"},
		"file":      {0o444, 0o777, "the config file may not be written, want write permission for who saves it"},
	} {
		dir := tree(t, t.TempDir(), map[string]string{"d/config.ini": "[a]\ncount = 1\n"})
		path := filepath.Join(dir, "d", "config.ini")
		for at, mode := range map[string]os.FileMode{path: c.file, filepath.Dir(path): c.dir} {
			if err := os.Chmod(at, mode); err != nil {
				t.Fatal(err)
			}
		}
		err := asNobody(t, dir, func() error { return config.Save(path, set("a", "count", "2")) })
		if e, ok := errors.AsType[*config.SaveError](err); !ok || e.Reason != c.want || !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: %v", name, err)
		}
		if got := read(t, path); got != "[a]\ncount = 1\n" {
			t.Errorf("%s: the file has become %q", name, got)
		}
		onlyFiles(t, filepath.Dir(path), "config.ini")
		if err := os.Chmod(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSaveTogether: of several that save at the same time nothing is lost, and nobody sees half a file.
func TestSaveTogether(t *testing.T) {
	t.Parallel()
	dir := tree(t, t.TempDir(), map[string]string{"config.ini": "; top\n[GearmanManager]\n"})
	path := filepath.Join(dir, "config.ini")
	var group sync.WaitGroup
	for n := range 8 {
		group.Go(func() {
			for count := range 10 {
				if err := config.Save(path, set("f"+strconv.Itoa(n), "count", strconv.Itoa(count+1))); err != nil {
					t.Error(err)
				}
				if _, problems := config.Load(path, nil); len(problems) > 0 {
					t.Errorf("problems %v", problems)
				}
			}
		})
	}
	group.Wait()
	cfg, problems := config.Load(path, nil)
	for n := range 8 {
		if count := cfg.Function("f" + strconv.Itoa(n)).Count(); count != 10 || len(problems) > 0 {
			t.Errorf("f%d has count %d, want 10; problems %v", n, count, problems)
		}
	}
	onlyFiles(t, dir, "config.ini")
}
