package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/config"
)

// differences returns the places of the notes on a config, with the first words of each.
func differences(cfg *config.Config) []string {
	var got []string
	for _, n := range cfg.Differences() {
		what := strings.Fields(n.What)
		got = append(got, n.Place()+": "+strings.Join(what[:min(4, len(what))], " "))
	}
	return got
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	unset := []string{
		"[GearmanManager] job_attempts: not set: there a job whose",
		"[GearmanManager] worker_initial_spawn_splay: not set: there 500000 microseconds lay",
		"[GearmanManager] reload_config: not set: there the config file",
		"[GearmanManager] kill_group: not set: what a job has",
	}
	for name, c := range map[string]struct {
		ini  string
		over config.Overrides
		want []string
		own  bool
	}{
		"nothing": {ini: "[GearmanManager]\ncount = 5\n[f]\ncount = 2\n", want: unset},
		"defaults": {
			ini:  "[GearmanManager]\nmax_worker_lifetime = 3600\nworker_restart_splay = 600\ntimeout = 0\nmax_runs_per_worker = 0\ninclude = *\nauto_update = no\n",
			want: unset,
		},
		"off": {
			ini: "[GearmanManager]\nmax_worker_lifetime = 0\nworker_restart_splay = no\nworker_initial_spawn_splay = 0\njob_attempts = 0\n",
			want: []string{
				"c.ini:2: [GearmanManager] max_worker_lifetime = 0: 0 did not switch",
				"c.ini:3: [GearmanManager] worker_restart_splay = off: 0 did not switch",
				unset[2], unset[3],
			}, own: true,
		},
		"on": {
			ini: "[GearmanManager]\nmax_worker_lifetime = 60\nmax_runs_per_worker = 9\ntimeout = 300\nprefix = \"a\x01b\"\nphp = php8.2\n[f]\npriority = 2\n",
			want: append([]string{
				"c.ini:2: [GearmanManager] max_worker_lifetime = 60: here a worker that",
				"c.ini:3: [GearmanManager] max_runs_per_worker = 9: it is exact here;",
				"c.ini:4: [GearmanManager] timeout = 300: GearmanManager left it to",
				"c.ini:5: [GearmanManager] prefix = \"a\\x01b\": for workers in PEAR's",
				"c.ini:8: [f] priority = 2: it works as there,",
			}, unset...),
		},
		"flags": {
			ini:  "[GearmanManager]\nauto_update = 1\ntimeout = x\n",
			over: config.Overrides{{Flag: "-t", Key: "timeout", Value: "5"}, {Flag: "-t", Key: "timeout", Value: "6"}},
			want: append([]string{
				"flag -t: timeout = 6: GearmanManager's help named this",
				"flag -t: timeout = 6: GearmanManager left it to",
				"c.ini:2: [GearmanManager] auto_update = 1: there all workers left",
			}, unset...),
		},
		"function": {
			ini: "[GearmanManager]\n[f]\nmax_worker_lifetime = 3600\ntimeout = 0\non_crash = fail\n",
			want: append([]string{
				"c.ini:3: [f] max_worker_lifetime = 3600: in a function's section",
			}, unset...), own: true,
		},
		"spaces": {
			ini: "[GearmanManager]\ninclude = a, b\nexclude = a,b\n",
			want: append([]string{
				"c.ini:2: [GearmanManager] include = a, b: to GearmanManager the space",
			}, unset...),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, _ := config.Parse("c.ini", []byte(c.ini), c.over)
			if diff := cmp.Diff(c.want, differences(cfg)); diff != "" {
				t.Error(diff)
			}
			if cfg.HasOwnKeys() != c.own {
				t.Errorf("own keys: %v, want %v", cfg.HasOwnKeys(), c.own)
			}
		})
	}
}

// TestTableOfDifferences checks what the report and the reference take for granted.
func TestTableOfDifferences(t *testing.T) {
	t.Parallel()
	for _, k := range config.Keys() {
		for _, d := range k.Differences {
			for _, text := range []string{d.What, d.Do} {
				if strings.HasSuffix(text, ".") || strings.Contains(text, "\n") || text != strings.TrimSpace(text) {
					t.Errorf("%s: %q", k.Name, text)
				}
			}
			if d.What == "" || d.When == "" {
				t.Errorf("%s: %+v", k.Name, d)
			}
			if k.Ours && d.When != config.WhenUnset {
				t.Errorf("GearmanManager had no %s, but it is told what is different when it is %s", k.Name, d.When)
			}
			if d.When == config.WhenUnset && k.Where == config.PerFunction {
				t.Errorf("%s cannot stand in the global section", k.Name)
			}
		}
	}
}
