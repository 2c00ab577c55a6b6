package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/config"
)

// tree writes files into a directory and returns it. A name that ends in / is a directory, a text that begins with -> a symbolic link, a | is
// a pipe.
func tree(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(path, 0o700)
		case strings.HasPrefix(text, "->"):
			err = os.Symlink(strings.TrimPrefix(text, "->"), path)
		case text == "|":
			err = syscall.Mkfifo(path, 0o600)
		default:
			err = os.WriteFile(path, []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// loadTree loads config.ini of the directory and returns it with its problems, one a line, and DIR in place of the directory.
func loadTree(t *testing.T, dir string) (cfg *config.Config, problems string) {
	t.Helper()
	cfg, found := config.Load(filepath.Join(dir, "config.ini"), nil)
	var b strings.Builder
	for _, p := range found {
		b.WriteString(string(p.Severity) + ": " + p.String() + "\n")
	}
	return cfg, strings.ReplaceAll(b.String(), dir, "DIR")
}

// TestInclude reads functions from several files, each known by its place.
func TestInclude(t *testing.T) {
	t.Parallel()
	dir := tree(t, t.TempDir(), map[string]string{
		"config.ini":         "[GearmanManager]\ninclude = conf.d/*.ini, resize,one.ini ,thumb\ncount = 2\n[own]\ncount = 1\n",
		"conf.d/20.ini":      "; later\n[thumb]\ntimeout = 7\ncuont = 5\n",
		"conf.d/10.INI":      "[not]\nbroken\n",
		"conf.d/10.ini":      "[resize]\ncount = 3\n",
		"conf.d/.#10.ini":    "->nobody@nowhere",
		"conf.d/30.ini.save": "[broken\n",
		"one.ini":            "[one]\n",
	})
	cfg, problems := loadTree(t, dir)
	want := "warning: DIR/conf.d/20.ini:4: [thumb] cuont: the key is unknown and has no effect (did you mean count?), want a key of the reference\n"
	if problems != want {
		t.Errorf("problems:\n%s", problems)
	}
	below := func(names ...string) []string {
		for i, name := range names {
			names[i] = filepath.Join(dir, name)
		}
		return names
	}
	for _, c := range []struct{ got, want any }{
		{cfg.Include(), []string{"resize", "thumb"}},
		{cfg.Sections(), []string{"own", "resize", "thumb", "one"}},
		{cfg.Function("resize").Count(), 3},
		{cfg.Files(), below("config.ini", "conf.d/10.ini", "conf.d/20.ini", "one.ini")},
		{cfg.IncludePatterns(), below("conf.d/*.ini", "one.ini")},
		{cfg.Function("thumb").Origin("timeout").String(), "[thumb] timeout at " + dir + "/conf.d/20.ini:3"},
		{cfg.SectionOrigin("thumb"), config.Origin{File: dir + "/conf.d/20.ini", Line: 2, Section: "thumb"}},
		{cfg.SectionOrigin("none"), config.Origin{File: dir + "/config.ini", Section: "none"}},
		{cfg.FileOf("thumb"), dir + "/conf.d/20.ini"},
		{cfg.FileOf("own"), dir + "/config.ini"},
		{cfg.FileOf("none"), dir + "/config.ini"},
		{cfg.FileOf(config.GlobalSection), dir + "/config.ini"},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Error(diff)
		}
	}
}

// TestIncludeOnlyFiles leaves all functions in.
func TestIncludeOnlyFiles(t *testing.T) {
	t.Parallel()
	for _, include := range []string{"include = d/*.ini", "include[] = d/*.ini", "include[] = d/*.ini\ninclude[] = d/a.ini", "include = \"d/[a-z].ini\"", "include = d/a.ini,*"} {
		dir := tree(t, t.TempDir(), map[string]string{"config.ini": "[GearmanManager]\n" + include + "\n", "d/a.ini": "[a]\ncount = 5\n"})
		cfg, problems := loadTree(t, dir)
		if problems != "" || cfg.Include() != nil || !cfg.Included("other") || cfg.Function("a").Count() != 5 {
			t.Errorf("%s: include %q, count %d, problems:\n%s", include, cfg.Include(), cfg.Function("a").Count(), problems)
		}
	}
}

// TestIncludeProblems names for each mistake the place where it can be mended.
func TestIncludeProblems(t *testing.T) {
	t.Parallel()
	const main = "[GearmanManager]\n\ninclude = conf.d/*.ini\n\n[resize]\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"nothing matches": {map[string]string{"config.ini": main}, ""},
		"a name that is not there": {
			map[string]string{"config.ini": "[GearmanManager]\ninclude = conf.d/a.ini\n"},
			"error: DIR/config.ini:2: [GearmanManager] include: DIR/conf.d/a.ini: there is no such config file, want a readable ini file\n",
		},
		"a section twice": {
			map[string]string{"config.ini": main, "conf.d/a.ini": "\n[resize]\n", "conf.d/b.ini": "[thumb]\n", "conf.d/c.ini": "[thumb]\n[thumb]\n"},
			"error: DIR/conf.d/a.ini:2: [resize]: the section stands twice, first in DIR/config.ini:5, want one section for each function\n" +
				"error: DIR/conf.d/c.ini:1: [thumb]: the section stands twice, first in DIR/conf.d/b.ini:1, want one section for each function\n" +
				"error: DIR/conf.d/c.ini:2: [thumb]: the section stands twice, first in DIR/conf.d/b.ini:1, want one section for each function\n",
		},
		"the manager's section": {
			map[string]string{"config.ini": main, "conf.d/a.ini": "[GearmanManager]\ncount = 1\n"},
			"error: DIR/conf.d/a.ini:1: [GearmanManager]: the section stands twice, first in DIR/config.ini:1, want all its keys there\n",
		},
		"an include in an included file": {
			map[string]string{"config.ini": main, "conf.d/a.ini": "[GearmanManager]\ninclude = x.ini\n"},
			"error: DIR/conf.d/a.ini:1: [GearmanManager]: the section stands twice, first in DIR/config.ini:1, want all its keys there\n" +
				"error: DIR/conf.d/a.ini:2: [GearmanManager] include: a file that is included cannot include others, want this in DIR/config.ini\n",
		},
		"a key before the first section": {
			map[string]string{"config.ini": main, "conf.d/a.ini": "count = 1\n"},
			"error: DIR/conf.d/a.ini:1: count: the key stands before the first section, want [function] above it\n",
		},
		"values and syntax": {
			map[string]string{"config.ini": "[GearmanManager]\ninclude = a.ini,b.ini\ncount = x\n", "a.ini": "[a]\ncount = y\n", "b.ini": "[b]\nx = \"\n"},
			"error: DIR/config.ini:3: [GearmanManager] count: \"x\" is no number, want a whole number from 0 to 10000\n" +
				"error: DIR/a.ini:2: [a] count: \"y\" is no number, want a whole number from 0 to 10000\n" +
				"error: DIR/b.ini:2: [b] x: a quote that is opened here is never closed, want the closing quote\n",
		},
		"no regular file": {
			map[string]string{"config.ini": main, "conf.d/a.ini/": "", "conf.d/b.ini": "|", "conf.d/c.ini": "->none"},
			"error: DIR/config.ini:3: [GearmanManager] include: DIR/conf.d/a.ini: this is a directory, want an ini file\n" +
				"error: DIR/config.ini:3: [GearmanManager] include: DIR/conf.d/b.ini: this is no regular file, want an ini file\n" +
				"error: DIR/config.ini:3: [GearmanManager] include: DIR/conf.d/c.ini: there is no such config file, want a readable ini file\n",
		},
		"no pattern": {
			map[string]string{"config.ini": "[GearmanManager]\ninclude = conf.d/[.ini\n"},
			"error: DIR/config.ini:2: [GearmanManager] include: conf.d/[.ini is no pattern, want * ? and [a-z], and a backslash before those that are meant as they are\n",
		},
		"the file itself": {map[string]string{"config.ini": "[GearmanManager]\ninclude = *.ini,config.ini,same.ini\n", "same.ini": "->config.ini"}, ""},
		"no ini file": {
			map[string]string{"config.ini": "[GearmanManager]\ninclude = conf.d/*.inii,a.conf,x.ini,*\n", "x.ini": ""},
			"warning: DIR/config.ini:2: [GearmanManager] include: conf.d/*.inii is taken for the name of a function, want a name that ends in .ini for a file\n" +
				"warning: DIR/config.ini:2: [GearmanManager] include: a.conf is taken for the name of a function, want a name that ends in .ini for a file\n",
		},
		"no function": {map[string]string{"config.ini": "[GearmanManager]\ninclude = a b,x.ini\n", "x.ini": ""}, "error: DIR/config.ini:2: [GearmanManager] include: \"a b\" cannot be a function's name: it holds a space or a control character, want visible characters only\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, problems := loadTree(t, tree(t, t.TempDir(), c.files))
			if diff := cmp.Diff(c.want, problems); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestIncludeFromOddPlaces: the directory's own name is no pattern, a link to the config file stands for its own directory, and a name that
// is relative to the working directory stays so.
func TestIncludeFromOddPlaces(t *testing.T) {
	dir := tree(t, t.TempDir(), map[string]string{
		"a[1]*/config.ini":    "[GearmanManager]\ninclude = d/*.ini,e.ini\n",
		"a[1]*/d/x.ini":       "[x]\n",
		"a[1]*/e.ini":         "[e]\n",
		"link/config.ini":     "->../a[1]*/config.ini",
		"link/d/linked.ini":   "[linked]\n",
		"link/e.ini":          "",
		"absolute/config.ini": "[GearmanManager]\ninclude = DIR/link/d/*.ini\n",
	})
	file := filepath.Join(dir, "absolute", "config.ini")
	if err := os.WriteFile(file, []byte("[GearmanManager]\ninclude = "+dir+"/link/d/*.ini\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct{ sections, patterns []string }{
		"a[1]*":    {[]string{"x", "e"}, []string{dir + `/a\[1]\*/d/*.ini`, dir + `/a\[1]\*/e.ini`}},
		"link":     {[]string{"linked"}, []string{dir + "/link/d/*.ini", dir + "/link/e.ini"}},
		"absolute": {[]string{"linked"}, []string{dir + "/link/d/*.ini"}},
	} {
		cfg, problems := loadTree(t, filepath.Join(dir, name))
		if diff := cmp.Diff(want.sections, cfg.Sections()); diff != "" || problems != "" {
			t.Errorf("%s: %s\n%s", name, problems, diff)
		}
		if diff := cmp.Diff(want.patterns, cfg.IncludePatterns()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	t.Chdir(filepath.Join(dir, "a[1]*"))
	cfg, problems := config.Load("config.ini", nil)
	if len(problems) > 0 || cfg.SectionOrigin("x").File != "d/x.ini" || cfg.Files()[1] != dir+"/a[1]*/d/x.ini" || cfg.IncludePatterns()[0] != dir+`/a\[1]\*/d/*.ini` {
		t.Errorf("%v, x is in %v, files %q, patterns %q", problems, cfg.SectionOrigin("x"), cfg.Files(), cfg.IncludePatterns())
	}
}

// TestParseReadsNoOtherFile: what a text includes is left out.
func TestParseReadsNoOtherFile(t *testing.T) {
	t.Parallel()
	cfg, problems := config.Parse("config.ini", []byte("[GearmanManager]\ninclude = testdata/problems/*.ini,none.ini,resize\n"), nil)
	if diff := cmp.Diff([]string{"resize"}, cfg.Include()); diff != "" || len(problems) > 0 {
		t.Errorf("%v %s", problems, diff)
	}
}

// TestWatch reads patterns for files, of a function or of all.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	cfg := parse(t, "[GearmanManager]\nwatch = lib/*.php, /srv/./app/*.php\nslow = 2.5\n[resize]\nwatch[] = a,b*\nreload_batch = 3\nslow = off\n[none]\nwatch = \n")
	for _, c := range []struct {
		function string
		want     []string
	}{
		{"thumb", []string{dir + "/lib/*.php", "/srv/app/*.php"}}, {"resize", []string{dir + "/a,b*"}}, {"none", []string{dir + "/lib/*.php", "/srv/app/*.php"}},
	} {
		if diff := cmp.Diff(c.want, cfg.Function(c.function).Watch()); diff != "" {
			t.Errorf("%s: %s", c.function, diff)
		}
	}
	if f, d := cfg.Function("resize"), cfg.Defaults(); f.ReloadBatch() != 3 || d.ReloadBatch() != 1 || f.Slow() != 0 || d.Slow().Seconds() != 2.5 {
		t.Errorf("batches %d and %d, slow %v and %v", f.ReloadBatch(), d.ReloadBatch(), f.Slow(), d.Slow())
	}
	for _, bad := range []string{"watch = [", "reload_batch = 0", "slow = -1"} {
		if _, problems := config.Parse("config.ini", []byte("[f]\n"+bad+"\n"), nil); !config.HasErrors(problems) {
			t.Errorf("%s is taken", bad)
		}
	}
}
