package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/manager"
)

func TestMigrationIsTold(t *testing.T) {
	t.Parallel()
	parse := func(text string) *config.Config {
		cfg, _ := config.Parse("c.ini", []byte(text), nil)
		return cfg
	}
	php := &manager.Plan{Pools: []manager.PoolPlan{{Kind: manager.KindExec}, {Kind: manager.KindPHP}}}
	other := &manager.Plan{Pools: []manager.PoolPlan{{Kind: manager.KindExec}}}
	theirs, ours := parse("[GearmanManager]\nphp = php8.2\n"), parse("[GearmanManager]\n[f]\non_crash = fail\n")
	for name, c := range map[string]struct {
		cfg  *config.Config
		plan *manager.Plan
		want string // of auto, always and never
	}{
		"PHP":       {theirs, php, "yes yes no"},
		"no PHP":    {theirs, other, "no yes no"},
		"own keys":  {ours, php, "no yes no"},
		"no config": {nil, &manager.Plan{}, "no no no"},
	} {
		var got []string
		for _, m := range []migration{migrationAuto, migrationAlways, migrationNever} {
			told := "no"
			if len(m.notes(c.cfg, c.plan)) > 0 {
				told = "yes"
			}
			got = append(got, told)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: told by auto, always, never: %s, want %s", name, got, c.want)
		}
	}
	if len(migration("").notes(theirs, php)) == 0 {
		t.Error("not told without the flag")
	}
}

func TestMigrationFlag(t *testing.T) {
	t.Parallel()
	var m migration
	for _, text := range []string{"auto", "always", "never"} {
		if err := m.Set(text); err != nil || m.String() != text {
			t.Errorf("%s: %v, %v", text, m, err)
		}
	}
	if err := m.Set("on"); err == nil {
		t.Error("on: no error")
	}
}

func TestWriteMigration(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	notes := []config.Note{
		{File: "c.ini", Line: 3, Section: "f", Key: "timeout", Value: "5", What: "here it is" + strings.Repeat(" long", 20), Do: "on_timeout = reissue helps"},
		{Flag: "-D", Section: "GearmanManager", Key: "count", Value: "2", Comes: "7 workers", What: "as it was"},
		{File: "c.php", Section: "g", Key: "timeout", Value: "6", What: "here it is" + strings.Repeat(" long", 20), Do: "on_timeout = reissue helps"},
		{Section: "GearmanManager", Key: "job_attempts", What: "another thing"},
		{What: "what holds for all", Do: "nothing"},
	}
	if err := writeMigration(&b, notes); err != nil {
		t.Fatal(err)
	}
	const want = `
Different from GearmanManager (--migration=never leaves this out):

  c.ini:3: [f] timeout = 5
  c.php: [g] timeout = 6
    Here it is long long long long long long long long long long long long long
    long long long long long long long. on_timeout = reissue helps.

  flag -D: count = 2: 7 workers
    As it was.

  [GearmanManager] job_attempts: not set
    Another thing.

  What holds for all. Nothing.
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
	b.Reset()
	if err := writeMigration(&b, nil); err != nil || b.Len() > 0 {
		t.Errorf("%q, %v where there is nothing to tell", b.String(), err)
	}
}
