package manager_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/manager"
)

// plannerCase is one ini file, and what GearmanManager itself did with it.
type plannerCase struct {
	INI    string `json:"ini"`
	Expect struct {
		// Functions are all that were performed, SharedFunctions those of the workers that do everything.
		Functions       []string `json:"functions"`
		SharedFunctions []string `json:"shared_functions"`
		// Workers counts the processes of each function; "*" are those that do everything.
		Workers  map[string]int     `json:"workers"`
		Priority map[string]int     `json:"priority"`
		Timeout  map[string]float64 `json:"timeout"`
	} `json:"expect"`
}

// readCases reads the file of cases.
func readCases(t *testing.T) []plannerCase {
	t.Helper()
	file, err := os.Open("testdata/planner-cases.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // it is only read
	var cases []plannerCase
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var c plannerCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	return cases
}

// TestCountsAreGearmanManagers plans the files that GearmanManager was started with, by way of real files in real directories.
// It is not parallel, since relative directories are seen from the working directory.
func TestCountsAreGearmanManagers(t *testing.T) {
	cases := readCases(t)
	if len(cases) != 120 {
		t.Fatalf("%d cases, want 120", len(cases))
	}
	t.Chdir(t.TempDir())
	for dir, names := range map[string][]string{
		"w1": {"resize", "thumbnail", "reverse_string", "send_mail"},
		"w2": {"Sum", "Avg", "fetch_url"},
	} {
		for _, name := range names {
			writeFile(t, filepath.Join(dir, name+".php"), "<?php function "+name+"($job) { return ''; }\n", 0o644)
		}
	}
	for i, c := range cases {
		t.Run(fmt.Sprint(i+1), func(t *testing.T) {
			checkCase(t, c)
		})
	}
}

// checkCase compares one plan with what GearmanManager did.
func checkCase(t *testing.T, c plannerCase) {
	t.Helper()
	cfg, problems := config.Parse("config.ini", []byte(c.INI), nil)
	programs, more := manager.Scan(t.Context(), cfg, nil, nil)
	plan, still := manager.NewPlan(cfg, programs)
	if all := slices.Concat(problems, more, still); config.HasErrors(all) {
		t.Errorf("problems: %v", all)
	}
	got := c // the same shape, filled with what the plan says
	got.Expect.Functions, got.Expect.SharedFunctions = []string{}, []string{}
	got.Expect.Workers, got.Expect.Priority, got.Expect.Timeout = map[string]int{}, map[string]int{}, map[string]float64{}
	for _, pool := range plan.Pools {
		got.Expect.Workers[pool.Name] += pool.Slots
		for _, f := range pool.Functions {
			got.Expect.Functions = append(got.Expect.Functions, f.Name)
			if pool.Shared {
				got.Expect.SharedFunctions = append(got.Expect.SharedFunctions, f.Name)
			}
			if f.Priority != 0 {
				got.Expect.Priority[f.Name] = f.Priority
			}
			if f.Timeout != 0 {
				got.Expect.Timeout[f.Name] = f.Timeout.Seconds()
			}
		}
		checkOrder(t, pool)
	}
	slices.Sort(got.Expect.Functions)
	got.Expect.Functions = slices.Compact(got.Expect.Functions)
	slices.Sort(got.Expect.SharedFunctions)
	if diff := cmp.Diff(c, got); diff != "" {
		t.Errorf("plan of\n%s\ndiffers (-GearmanManager +plan):\n%s", c.INI, diff)
	}
}

// checkOrder fails when a function of higher priority is registered after another one.
func checkOrder(t *testing.T, pool manager.PoolPlan) {
	t.Helper()
	for i := 1; i < len(pool.Functions); i++ {
		if pool.Functions[i-1].Priority < pool.Functions[i].Priority {
			t.Errorf("pool %s registers %s before %s", pool.Name, pool.Functions[i-1].Name, pool.Functions[i].Name)
		}
	}
}

// writeFile makes a file and its directory.
func writeFile(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // past the umask
		t.Fatal(err)
	}
}
