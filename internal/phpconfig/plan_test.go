package phpconfig_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/internal/phpconfig"
	"github.com/gearman-manager/gearman-manager/manager"
)

// TestSamePlan plans files of GearmanManager's as they are and as PHP: the file
// that PHP itself makes of them has to give the same fleet.
func TestSamePlan(t *testing.T) {
	dir, reader := setup(t)
	file, err := os.Open("../../manager/testdata/planner-cases.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // it is only read
	cases := 0
	for lines := bufio.NewScanner(file); lines.Scan(); cases++ {
		var c struct{ INI string }
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		write(t, dir, "config.ini", c.INI)
		path := write(t, dir, "config.php", "<?php $gearman_config = parse_ini_file(__DIR__ . '/config.ini', true);")
		ini, problems := config.Parse(path, []byte(c.INI), nil)
		php, more := phpconfig.Load(t.Context(), reader, path, nil)
		if php == nil {
			t.Fatalf("%s\n%s", c.INI, unplaced(more))
		}
		if diff := cmp.Diff(unplaced(problems), unplaced(more)); diff != "" {
			t.Errorf("problems of\n%s\ndiffer (-ini +php):\n%s", c.INI, diff)
		}
		if diff := cmp.Diff(fleet(t, ini), fleet(t, php)); diff != "" {
			t.Errorf("plans of\n%s\ndiffer (-ini +php):\n%s", c.INI, diff)
		}
	}
	if cases != 120 {
		t.Errorf("%d cases, want 120", cases)
	}
}

// unplaced are problems without their lines, which a config in PHP does not have.
func unplaced(problems []config.Problem) string {
	var b strings.Builder
	for _, p := range problems {
		p.Line = 0
		fmt.Fprintf(&b, "%s: %s\n", p.Severity, p)
	}
	return b.String()
}

// fleet is what a config comes to, with everything but the places of its values.
func fleet(t *testing.T, cfg *config.Config) string {
	t.Helper()
	var programs []manager.Program
	for _, dir := range cfg.WorkerDirs() {
		for _, name := range map[string][]string{
			"w1": {"resize", "thumbnail", "reverse_string", "send_mail"},
			"w2": {"Sum", "Avg", "fetch_url"},
		}[filepath.Base(dir)] {
			programs = append(programs, manager.Program{Path: filepath.Join(dir, name+".php"), Kind: manager.KindPHP, Functions: []string{name}})
		}
	}
	plan, problems := manager.NewPlan(cfg, programs)
	for i := range plan.Pools {
		plan.Pools[i].Origin = ""
	}
	text, err := json.MarshalIndent([]any{plan, cfg.Hosts(), cfg.LogFile(), cfg.PidFile(), cfg.User(), cfg.Verbose(), cfg.AutoUpdate()}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "\n" + unplaced(problems)
}
