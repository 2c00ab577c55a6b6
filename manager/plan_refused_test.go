package manager_test

import (
	"strings"
	"testing"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/manager"
)

// TestCheckLimits wants more descriptors than the kernel gives anybody, for one function and for all others.
func TestCheckLimits(t *testing.T) {
	t.Parallel()
	const ini = "[GearmanManager]\ncount = 1\nrlimit_nofile = 1073741824\n[own]\ndedicated_only = on\ndedicated_count = 1\nrlimit_nofile = 1073741823\nrlimit_core = 0\n[fine]\ncount = 2\nrlimit_nofile = 16\n"
	cfg, found := config.Parse("c.ini", []byte(ini), nil)
	plan, more := manager.NewPlan(cfg, programsOf(t, "plugin /w/p own,a,b,fine", "exec /w/c c"))
	if len(found)+len(more) > 0 {
		t.Fatal(found, more)
	}
	problems := manager.CheckLimits(cfg, plan)
	if len(problems) != 2 {
		t.Fatalf("problems %v, want one of each value", problems)
	}
	for i, want := range []string{
		"c.ini:3: [GearmanManager] rlimit_nofile: limit nofile = 1073741824 cannot be set",
		"c.ini:7: [own] rlimit_nofile: limit nofile = 1073741823 cannot be set",
	} {
		if got := problems[i]; !strings.HasPrefix(got.String(), want) || got.Severity != config.Warning {
			t.Errorf("%s %q, want a warning %q", got.Severity, got, want)
		}
	}
}
