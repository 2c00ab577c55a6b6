package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/manager"
	"github.com/gearman-manager/gearman-manager/plugins"
)

// brokenRelease is the version of a program that cannot be run.
const brokenRelease = "broken"

// fleetModel knows what is on the disk, and what of it a fleet has to run.
type fleetModel struct {
	f       *reloadFleet
	rand    *rand.Rand
	version int // of the last program
	deploys int // releases that the link was switched to

	programs map[string]string            // versions on the disk, by file name
	sections map[string]map[string]string // of the config
	excluded map[string]bool
	broken   bool // the config is

	holds string            // the config that holds, as modelText makes it
	runs  map[string]string // the version that runs, by file name
}

// modelFiles are the files that come and go.
func modelFiles() []string {
	return []string{"pa", "pb", "sa.php", "sb.php", "sc.php", "ea.sh", "eb.sh"}
}

// functionOf is the function that a file performs.
func functionOf(file string) string { return strings.TrimSuffix(file, filepath.Ext(file)) }

// breakable tells whether a file can be broken so that it is seen before it is run. The
// PHP files of a shared pool are loaded together: while one is broken, no change of the
// others is applied, so that a fleet with that is not what a fresh one would be.
func (m *fleetModel) breakable(file string) bool {
	switch filepath.Ext(file) {
	case ".php":
		return m.sections[config.GlobalSection]["count"] == ""
	case ".sh":
		return false
	default:
		return true
	}
}

// brokenPHP tells whether a PHP file is broken.
func (m *fleetModel) brokenPHP() bool {
	for file, version := range m.programs {
		if version == brokenRelease && filepath.Ext(file) == ".php" {
			return true
		}
	}
	return false
}

func newFleetModel(f *reloadFleet, seed uint64) *fleetModel {
	m := &fleetModel{
		f: f, rand: rand.New(rand.NewPCG(seed, 1)), programs: map[string]string{}, excluded: map[string]bool{}, runs: map[string]string{},
		sections: map[string]map[string]string{
			config.GlobalSection: {},
			"base":               {"command": "DIR/base.sh", "dedicated_only": "1", "dedicated_count": "1"},
		},
	}
	f.write(filepath.Join(f.dir, "base.sh"), execRelease(f.tb, "v0"))
	m.newDirectory()
	f.link("releases/1", filepath.Join(f.dir, "current"))
	for _, file := range modelFiles()[:4] {
		m.release(file, m.next())
	}
	m.holds = m.text(filepath.Join(f.dir, "current"))
	return m
}

// next is a version that was not there before.
func (m *fleetModel) next() string {
	m.version++
	return fmt.Sprint("v", m.version)
}

// newDirectory makes the directory of the next deployment, empty.
func (m *fleetModel) newDirectory() string {
	m.deploys++
	return m.f.mkdir(filepath.Join(m.f.dir, "releases", fmt.Sprint(m.deploys)))
}

// release puts a version of a file on the disk.
func (m *fleetModel) release(file, version string) {
	m.programs[file] = version
	path, content := filepath.Join(m.f.dir, "current", file), release(m.f.tb, file, version)
	if m.rand.IntN(2) == 0 {
		m.f.write(path, content)
	} else {
		m.f.place(path, content)
	}
}

// text is the config, with a directory of programs.
func (m *fleetModel) text(workers string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[GearmanManager]\nhost = %s\nworker_dir = %s\nstate_dir = %s/state\nruntime_dir = %s\nauto_update = 1\nmax_worker_lifetime = 0\n",
		m.f.server.Addr(), workers, m.f.dir, m.f.runtime)
	if len(m.excluded) > 0 {
		fmt.Fprintf(&b, "exclude = %s\n", strings.Join(slices.Sorted(maps.Keys(m.excluded)), ","))
	}
	write := func(values map[string]string) {
		for _, key := range slices.Sorted(maps.Keys(values)) {
			fmt.Fprintf(&b, "%s = %s\n", key, strings.ReplaceAll(values[key], "DIR", m.f.dir))
		}
	}
	write(m.sections[config.GlobalSection])
	for _, name := range slices.Sorted(maps.Keys(m.sections)) {
		if name != config.GlobalSection {
			fmt.Fprintf(&b, "[%s]\n", name)
			write(m.sections[name])
		}
	}
	return b.String()
}

// writeConfig puts the config on the disk. A broken one has its mistake in the middle.
func (m *fleetModel) writeConfig() {
	text := m.text(filepath.Join(m.f.dir, "current"))
	if m.broken {
		text = strings.Replace(text, "[base]", "count = many\n[base]", 1)
	} else {
		m.holds = text
	}
	if m.rand.IntN(2) == 0 {
		m.f.write(m.f.config, []byte(text))
	} else {
		m.f.place(m.f.config, []byte(text))
	}
}

// burst makes some edits, each of something else, so that it does not matter between
// which of them the manager looks.
func (m *fleetModel) burst(n int, pause func()) (done []string) {
	touched := map[string]bool{}
	for tries := 0; len(done) < n && tries < 100; tries++ {
		what := append(modelFiles(), "ca", "GLOBAL", "CONFIG", "LINK")[m.rand.IntN(len(modelFiles())+4)]
		// What the config says of a function, and whether it holds, depend on each other.
		alone := what == "CONFIG" || what == "LINK"
		if touched[what] || alone && len(done) > 0 {
			continue
		}
		touched[what] = true
		if did := m.edit(what); did != "" {
			done = append(done, did)
			pause()
		}
		if alone && len(done) > 0 {
			return done
		}
	}
	return done
}

// edit changes something about a file's function, or about all; it says what, and
// nothing if there was nothing to change.
func (m *fleetModel) edit(what string) string {
	switch what {
	case "CONFIG":
		m.broken = !m.broken
		m.writeConfig()
		return fmt.Sprintf("config broken: %v", m.broken)
	case "LINK":
		return m.deploy()
	case "GLOBAL":
		return m.setValue(config.GlobalSection, globalValues())
	case "ca":
		return m.editCommand()
	}
	if m.rand.IntN(3) == 0 && !m.broken {
		if m.rand.IntN(4) == 0 {
			return m.exclude(functionOf(what))
		}
		return m.setValue(functionOf(what), functionValues())
	}
	return m.editProgram(what)
}

// editProgram adds, removes, changes, breaks or mends a file.
func (m *fleetModel) editProgram(file string) string {
	_, there := m.programs[file]
	switch n := m.rand.IntN(6); {
	case there && n == 0:
		delete(m.programs, file)
		m.f.remove(filepath.Join(m.f.dir, "current", file))
		return "remove " + file
	case there && n == 1 && m.breakable(file):
		m.release(file, brokenRelease)
		return "break " + file
	default:
		m.release(file, m.next())
		return "release " + file + " " + m.programs[file]
	}
}

// deploy switches the link to a directory with the same files, one of them new.
func (m *fleetModel) deploy() string {
	dir := m.newDirectory()
	names := slices.Sorted(maps.Keys(m.programs))
	if len(names) > 0 {
		file := names[m.rand.IntN(len(names))]
		m.programs[file] = m.next()
	}
	for _, file := range names {
		m.f.write(filepath.Join(dir, file), release(m.f.tb, file, m.programs[file]))
	}
	m.f.link(fmt.Sprint("releases/", m.deploys), filepath.Join(m.f.dir, "current"))
	return fmt.Sprint("deploy ", m.deploys, " ", m.programs)
}

// exclude takes a function out, or back in.
func (m *fleetModel) exclude(function string) string {
	if m.excluded[function] {
		delete(m.excluded, function)
	} else {
		m.excluded[function] = true
	}
	m.writeConfig()
	return fmt.Sprintf("exclude %s: %v", function, m.excluded[function])
}

// editCommand adds or removes a function that is a command line, or changes it.
func (m *fleetModel) editCommand() string {
	if m.broken {
		return ""
	}
	if _, there := m.sections["ca"]; there && m.rand.IntN(3) == 0 {
		delete(m.sections, "ca")
		m.writeConfig()
		return "remove [ca]"
	}
	version := m.next()
	path := filepath.Join(m.f.dir, "command-"+version)
	m.f.write(path, execRelease(m.f.tb, version))
	m.sections["ca"] = map[string]string{"command": path, "dedicated_count": fmt.Sprint(1 + m.rand.IntN(2))}
	m.writeConfig()
	return "command of [ca] is " + version
}

// globalValues and functionValues are values that may be set, by key. An empty one
// takes the key out.
func globalValues() map[string][]string {
	return map[string][]string{
		"count": {"", "1", "2"}, "dedicated_count": {"", "1", "2"}, "timeout": {"", "50"}, "max_runs_per_worker": {"", "100000"},
		"max_memory": {"", "1G"}, "reload_batch": {"", "2"}, "job_attempts": {"", "5"},
	}
}

func functionValues() map[string][]string {
	return map[string][]string{
		"dedicated_count": {"", "1", "2", "3"}, "dedicated_only": {"", "1"}, "count": {"", "2", "3"}, "timeout": {"", "60", "70"},
		"on_timeout": {"", "reissue"}, "on_crash": {"", "fail"}, "priority": {"", "2", "-2"}, "max_runs_per_worker": {"", "200000"},
		"graceful_shutdown_wait_time": {"", "20"}, "nice": {"", "1"}, "rlimit_nofile": {"", "500"}, "slow": {"", "3"},
	}
}

// setValue sets a value in a section, or takes one out.
func (m *fleetModel) setValue(section string, values map[string][]string) string {
	if m.broken {
		return ""
	}
	keys := slices.Sorted(maps.Keys(values))
	key := keys[m.rand.IntN(len(keys))]
	value := values[key][m.rand.IntN(len(values[key]))]
	if section == config.GlobalSection && key == "count" && value != "" && m.brokenPHP() {
		return "" // see breakable
	}
	if m.sections[section] == nil {
		m.sections[section] = map[string]string{}
	}
	if value == "" {
		delete(m.sections[section], key)
	} else {
		m.sections[section][key] = value
	}
	if m.sections[section]["dedicated_only"] != "" && m.sections[section]["dedicated_count"] == "" {
		m.sections[section]["dedicated_count"] = "1" // which it needs
	}
	m.writeConfig()
	return fmt.Sprintf("[%s] %s = %s", section, key, value)
}

// plan is what a fresh manager would run, had it the same files, but for programs that
// are broken and ran before: these go on as they were. It remembers what runs. Its
// programs lie in a directory of their own.
func (m *fleetModel) plan() (plan *manager.Plan, shadow string) {
	m.f.tb.Helper()
	shadow = m.f.tb.TempDir()
	for file, version := range m.programs {
		if last, ran := m.runs[file]; ran && version == brokenRelease {
			version = last
		}
		m.f.write(filepath.Join(shadow, file), release(m.f.tb, file, version))
	}
	text := strings.Replace(m.holds, "worker_dir = "+filepath.Join(m.f.dir, "current"), "worker_dir = "+shadow, 1)
	cfg, problems := config.Parse("config.ini", []byte(text), nil)
	if config.HasErrors(problems) {
		m.f.tb.Fatalf("the model's config is wrong: %v\n%s", problems, text)
	}
	programs, _ := manager.Scan(m.f.ctx(), cfg, fakeDescriber{}, fakeInspector{})
	plan, _ = manager.NewPlan(cfg, programs)
	m.remember(plan)
	return plan, shadow
}

// remember notes which version of each file the plan runs.
func (m *fleetModel) remember(plan *manager.Plan) {
	planned := map[string]bool{}
	for _, pool := range plan.Pools {
		for _, function := range pool.Functions {
			planned[function.Name] = planned[function.Name] || pool.Slots > 0
		}
	}
	runs := map[string]string{}
	for file, version := range m.programs {
		if !planned[functionOf(file)] {
			continue
		}
		if version == brokenRelease {
			version = m.runs[file]
		}
		runs[file] = version
	}
	m.runs = runs
}

// fakeDescriber reads what a plugin of these tests performs.
type fakeDescriber struct{}

// Describe fails for one that is broken.
func (fakeDescriber) Describe(_ context.Context, path, _ string) (manager.Description, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return manager.Description{}, err
	}
	_, label, _ := bytes.Cut(content, []byte("release-label|"))
	parts := strings.SplitN(string(label[:80]), "|", 3)
	version := strings.TrimSpace(parts[0])
	if version == brokenRelease {
		return manager.Description{}, errors.New("is broken")
	}
	return manager.Description{Functions: strings.Fields(parts[1]), Version: version, Protocol: plugins.ContractVersion}, nil
}

// fakeInspector knows a broken PHP file of these tests.
type fakeInspector struct{}

// Inspect looks for what breaks them.
func (fakeInspector) Inspect(_ context.Context, files []manager.PHPFile) (faults []manager.PHPFault, err error) {
	for _, file := range files {
		content, err := os.ReadFile(file.Path)
		if err != nil {
			return nil, err
		}
		if bytes.Contains(content, []byte("this release is broken")) {
			faults = append(faults, manager.PHPFault{Path: file.Path, Problem: "is broken"})
		}
	}
	return faults, nil
}
