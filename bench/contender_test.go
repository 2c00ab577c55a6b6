package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestContendersAreConsistent(t *testing.T) {
	t.Parallel()
	all := contenders()
	seen := map[string]bool{}
	for _, c := range all {
		if seen[c.id] {
			t.Errorf("%s is there twice", c.id)
		}
		seen[c.id] = true
	}
	for _, c := range all {
		for _, rival := range c.against {
			if !seen[rival.id] {
				t.Errorf("%s is compared with %q, which is not there", c.id, rival.id)
			}
		}
		if c.table != speedTable && (!c.managed || len(c.against) > 0) {
			t.Errorf("%s is a crowd or operated without a manager, or compared by speed", c.id)
		}
	}
}

func TestManagerConfig(t *testing.T) {
	t.Parallel()
	got := managerConfig("127.0.0.1:4730", "/tmp/w", "/tmp/h", "include = reverse\n", "[reverse]\n", plan{workers: 4, maxRuns: 100})
	want := `[GearmanManager]
host = 127.0.0.1:4730
worker_dir = /tmp/w
runtime_dir = /tmp/h/run
state_dir = /tmp/h/state
max_worker_lifetime = 0
max_runs_per_worker = 100
include = reverse

[reverse]
dedicated_only = 1
dedicated_count = 4
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	tests := map[string][]string{
		"":           {"plugin", "exec", "phpworker", "php", "phpchild", "c", "gearman", "crowd", "crowd-preload", "crowd-apart", "op-plugin", "op-php", "op-fork", "re-plugin", "re-php", "re-fork"},
		"c,plugin":   {"plugin", "c"},
		"gearman":    {"gearman"},
		"perl":       nil,
		"php,":       nil,
		"plugin, c ": nil,
	}
	for list, want := range tests {
		got, err := choose(contenders(), list, "")
		if (err != nil) != (want == nil) {
			t.Errorf("choose(%q): %v", list, err)
		}
		if err == nil {
			if diff := cmp.Diff(want, ids(got)); diff != "" {
				t.Errorf("choose(%q) (-want +got):\n%s", list, diff)
			}
		}
	}
}

// Rows and tables that are asked for both have to fit.
func TestChooseTables(t *testing.T) {
	t.Parallel()
	tests := []struct {
		rows, tables string
		want         []string
	}{
		{"", "operation", []string{"op-plugin", "op-php", "op-fork"}},
		{"", "reload", []string{"re-plugin", "re-php", "re-fork"}},
		{"op-fork,c", "speed,operation", []string{"c", "op-fork"}},
		{"op-fork", "", []string{"op-fork"}},
		{"", "operations", nil},
	}
	for _, tt := range tests {
		got, err := choose(contenders(), tt.rows, tt.tables)
		if (err != nil) != (tt.want == nil) {
			t.Errorf("choose(%q, %q): %v", tt.rows, tt.tables, err)
		}
		if err == nil {
			if diff := cmp.Diff(tt.want, ids(got)); diff != "" {
				t.Errorf("choose(%q, %q) (-want +got):\n%s", tt.rows, tt.tables, diff)
			}
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := parse([]string{"-rows", "c", "-runs", "2", "-time", "100ms", "-json"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := options{rows: "c", runs: 2, operationRuns: 2, length: 100 * time.Millisecond, json: true}
	if got != want {
		t.Errorf("options = %+v, want %+v", got, want)
	}
	if got, err := parse([]string{"-tables", "crowd"}, io.Discard); err != nil || got.runs != 5 || got.operationRuns != 3 || got.tables != "crowd" {
		t.Errorf("options without -runs = %+v, %v", got, err)
	}
	for _, bad := range []string{"-runs 0", "-time 0s", "-time -1s", "-what", "more"} {
		if _, err := parse(strings.Fields(bad), io.Discard); err == nil {
			t.Errorf("parse(%q): no error", bad)
		}
	}
}

func TestParseStatus(t *testing.T) {
	t.Parallel()
	name, workers, err := parseStatus("reverse\t3\t1\t20")
	if name != "reverse" || workers != 20 || err != nil {
		t.Errorf("parseStatus: %q, %d, %v", name, workers, err)
	}
	for _, bad := range []string{"", "reverse\t3\t1", "reverse\t3\t1\tx"} {
		if _, _, err := parseStatus(bad); err == nil {
			t.Errorf("parseStatus(%q): no error", bad)
		}
	}
}
