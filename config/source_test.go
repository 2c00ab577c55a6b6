package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/config"
)

// text makes a value of one text.
func text(section, key, text string) config.Value {
	return config.Value{Section: section, Key: key, Texts: []string{text}}
}

func TestFromSource(t *testing.T) {
	t.Parallel()
	cfg, problems := config.FromSource(config.Source{
		Name:     "c.php",
		Sections: []string{config.GlobalSection, "resize", "empty"},
		Values: []config.Value{
			text(config.GlobalSection, "count", "3"),
			{Section: config.GlobalSection, Key: "worker_dir", Texts: []string{"/a, b", "/c"}, List: true},
			{Section: config.GlobalSection, Key: "include", List: true},
			{Section: config.GlobalSection, Key: "max_worker_lifetime", Texts: []string{""}, Off: true},
			{Section: config.GlobalSection, Key: "worker_restart_splay", Texts: []string{""}},
			{Section: "resize", Key: "dedicated_only", Texts: []string{""}, Off: true},
			text("resize", "command", "wc -l"),
			text("resize", "timeout", "1.5"),
		},
	}, config.Overrides{{Flag: "-D", Key: "count", Value: "7"}})
	if len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
	if cfg.Count() != 7 || cfg.File() != "c.php" {
		t.Errorf("count %d of %s, want the flag's", cfg.Count(), cfg.File())
	}
	if diff := cmp.Diff([]string{"/a, b", "/c"}, cfg.WorkerDirs()); diff != "" {
		t.Error(diff)
	}
	f := cfg.Function("resize")
	if cfg.Include() != nil || f.MaxLifetime() != 0 || f.RestartSplay().Seconds() != 600 || f.DedicatedOnly() || f.Timeout().Seconds() != 1.5 {
		t.Errorf("include %v, lifetime %v, splay %v, only %v, timeout %v", cfg.Include(), f.MaxLifetime(), f.RestartSplay(), f.DedicatedOnly(), f.Timeout())
	}
	if diff := cmp.Diff([]string{"wc", "-l"}, f.Command()); diff != "" {
		t.Error(diff)
	}
	if !f.HasSection() || !cfg.Function("empty").HasSection() || cfg.Function("other").HasSection() {
		t.Errorf("sections: %v", cfg.Sections())
	}
	if got := f.Origin("timeout"); got.String() != "[resize] timeout in c.php" || got.IsDefault() {
		t.Errorf("timeout is from %q", got)
	}
	if got := f.Origin("priority"); got.String() != "default" || !got.IsDefault() {
		t.Errorf("priority is from %q", got)
	}
}

// TestFromSourceProblems: what is wrong is told as for an ini file, and no text breaks the way through the parser.
func TestFromSourceProblems(t *testing.T) {
	t.Parallel()
	wild := "a\"]=\n[b]\x00\xff`$;#\\"
	_, problems := config.FromSource(config.Source{
		Name:     "c.php",
		Sections: []string{config.GlobalSection, "x", wild},
		Values: []config.Value{
			text(config.GlobalSection, "count", "many"),
			text(config.GlobalSection, wild, "1"),
			text(config.GlobalSection, "0", "1"),
			text(config.GlobalSection, "dedicated_cuont", wild),
			text(config.GlobalSection, "prefix", wild),
			{Section: "x", Key: "timeout", Fault: "it is strange, want no such thing"},
			{Section: "x", Key: "count", Texts: []string{"1", "2"}, List: true},
			text(wild, "count", "1"),
		},
	}, nil)
	var got []string
	for _, p := range problems {
		got = append(got, string(p.Severity)+" "+p.String())
	}
	want := []string{
		`warning c.php: [GearmanManager] "a\"]=\n[b]\x00\xff` + "`" + `$;#\\": the key is unknown and has no effect, want a key of the reference`,
		`error c.php: [GearmanManager] count: "many" is no number, want a whole number from 0 to 10000`,
		`warning c.php: [GearmanManager] 0: the key is unknown and has no effect, want a key of the reference`,
		`warning c.php: [GearmanManager] dedicated_cuont: the key is unknown and has no effect (did you mean dedicated_count?), want a key of the reference`,
		`error c.php: [GearmanManager] prefix: the value has more than one line, want one`,
		`error c.php: [x] timeout: it is strange, want no such thing`,
		`error c.php: [x] count: the value is a list, want count = one value`,
		`error c.php: ["a\"]=\n[b]\x00\xff` + "`" + `$;#\\"]: "a\"]=\n[b]\x00\xff` + "`" + `$;#\\" cannot be a function's name: it holds a space or a control character, want visible characters only`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	_, problems = config.FromSource(config.Source{Name: "c.php", Sections: []string{"gearmanmanager"}}, nil)
	if len(problems) != 1 || !strings.Contains(problems[0].Message, "written differently") {
		t.Errorf("problems: %v", problems)
	}
}
