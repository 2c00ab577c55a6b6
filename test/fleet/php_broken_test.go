package fleet

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// phpFaults are the faults of the files in php/broken: what is said of a file,
// beside its name, and in which line it is.
func phpFaults() map[string]struct{ text, line string } {
	return map[string]struct{ text, line string }{
		"syntax.php":   {"syntax error", "6"},
		"misnamed.php": {"misnamed", ""},
		"norun.php":    {"run", ""},
		"fatal.php":    {"no_such_function", "7"},
		"throws.php":   {"no database", "7"},
		"exits.php":    {"exit", ""},
		"lacking.php":  {"no/such/file.php", "3"},
	}
}

// TestPHPBrokenFiles has files that are broken in every way beside good ones:
// each is named with its line, and the good ones run.
func TestPHPBrokenFiles(t *testing.T) {
	t.Parallel()
	for _, setup := range phpSetups() {
		t.Run(setup.name, func(t *testing.T) {
			t.Parallel()
			f := newPHPFleet(t)
			f.startPHP(setup, "worker_dir = PHP/broken\nverbose = 1\n")
			f.waitAll("good,prints", 1)
			f.wantPHP("good", "", "good")
			f.wantPHP("prints", "", "good too")
			f.waitLog("syntax.php")
			f.wantFaults(f.log.String())
			for _, s := range f.status() {
				if s.Workers > 0 && s.Function != "good" && s.Function != "prints" {
					t.Errorf("%d workers perform %s, whose file is broken", s.Workers, s.Function)
				}
			}
			f.wantFaults(f.check())
			f.stopPHP()
		})
	}
}

// wantFaults looks for all faults in a text.
func (f *phpFleet) wantFaults(text string) {
	f.tb.Helper()
	for file, fault := range phpFaults() {
		at := regexp.MustCompile(regexp.QuoteMeta(file) + `(:| line=)` + fault.line + `\b`)
		named := false
		for line := range strings.Lines(text) {
			named = named || strings.Contains(line, file) && strings.Contains(line, fault.text) && (fault.line == "" || at.MatchString(line))
		}
		if !named {
			f.tb.Errorf("no line names %s, %q and line %q:\n%s", file, fault.text, fault.line, text)
		}
	}
}

// check is what "gearman-manager check" says of the fleet's config.
func (f *phpFleet) check() string {
	f.tb.Helper()
	cmd := exec.CommandContext(f.ctx(), filepath.Join(bin, "gearman-manager"), "check", "-c", filepath.Join(f.dir, "config.ini"))
	cmd.Dir = f.dir
	out, _ := cmd.CombinedOutput() // its exit code says that there are problems
	return string(out)
}
