package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gearman-manager/gearman-manager/config"
)

// environment sets what these tests refer to, and makes sure of what is not there.
func environment(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"TEST_X": "val", "TEST_EMPTY": "", "TEST_SECRET": "s3cret, want more", "TEST_QUOTES": `a 'b' "c" \d $e`, "TEST_SPACES": "  -x  1 ", "TEST_HOSTS": "one,two:4731",
		"TEST_SIZE": "9M", "TEST_NUMBER": "7",
	} {
		t.Setenv(name, value)
	}
}

// TestVariables compares what comes of references in values. How PHP reads those without a default is compared with PHP itself in another
// test.
func TestVariables(t *testing.T) {
	environment(t)
	for value, want := range map[string]string{
		`${TEST_X}`:                          "val",
		`"${TEST_X}"`:                        "val",
		`'${TEST_X}'`:                        "${TEST_X}",
		`"\${TEST_X}"`:                       "${TEST_X}",
		`a${TEST_X}b ; note`:                 "avalb",
		`"a ${TEST_X} b"`:                    "a val b",
		`${TEST_X:-no}`:                      "val",
		`${TEST_NONE:-a/b.c:1,d e}`:          "a/b.c:1,d e",
		`"${TEST_NONE:-a b}"`:                "a b",
		`${TEST_NONE:-}`:                     "",
		`${TEST_EMPTY:-default}`:             "",
		`x${TEST_NONE:--1}`:                  "x-1",
		`${TEST_QUOTES}`:                     `a 'b' "c" \d $e`,
		`${TEST_X}"${TEST_X}"'${TEST_X}'`:    "valval${TEST_X}",
		`${TEST_NONE:-yes}`:                  "yes",
		`"${TEST_NONE:-it}'s ${TEST_X}"`:     "it's val",
		`"` + "a\n${TEST_NONE:-b}" + `"; c`:  "",
		`${TEST_X}/${TEST_NUMBER}.${TEST_X}`: "val/7.val",
	} {
		cfg, problems := config.Parse("config.ini", []byte("[GearmanManager]\nprefix = "+value+"\ncount = 7\n"), nil)
		if got := cfg.Prefix(); got != want || cfg.Count() != 7 || len(problems) > 0 && want != "" {
			t.Errorf("prefix = %s: %q, want %q; count %d, problems %v", value, got, want, cfg.Count(), problems)
		}
	}
}

// TestVariablesInCommands: what a variable holds never becomes a quote, and is split at its spaces only where a shell does.
func TestVariablesInCommands(t *testing.T) {
	environment(t)
	quotes := `a 'b' "c" \d $e`
	for value, want := range map[string][]string{
		`${TEST_X}/bin -n`:                 {"val/bin", "-n"},
		`a ${TEST_QUOTES}`:                 {"a", "a", "'b'", `"c"`, `\d`, "$e"},
		`a "${TEST_QUOTES}"`:               {"a", quotes},
		`a '${TEST_X}' \${TEST_X}`:         {"a", "${TEST_X}", "${TEST_X}"},
		`a "\${TEST_X} '${TEST_X}'"`:       {"a", "${TEST_X} 'val'"},
		`a x${TEST_SPACES}y`:               {"a", "x", "-x", "1", "y"},
		`a ${TEST_EMPTY} b`:                {"a", "b"},
		`a "${TEST_EMPTY}" b`:              {"a", "", "b"},
		`a ${TEST_NONE:-b =(c) $d}`:        {"a", "b", "=(c)", "$d"},
		`sh -c 'echo ${1#x}' "${1#x}"`:     {"sh", "-c", "echo ${1#x}", "${1#x}"},
		`"${TEST_X}/wc -l"`:                {"val/wc", "-l"},
		`"a '${TEST_QUOTES}' x"`:           {"a", quotes, "x"},
		`"a \"${TEST_QUOTES}\" x"`:         {"a", quotes, "x"},
		`"a ${TEST_QUOTES}"`:               {"a", "a", "'b'", `"c"`, `\d`, "$e"},
		`"a \${TEST_X} ${1#x}"`:            {"a", "${TEST_X}", "${1#x}"},
		`"awk '{print \$1}'"`:              {"awk", "{print $1}"},
		`"a \\${TEST_X}"`:                  {"a", `\val`},
		`'a ${TEST_X}'`:                    {"a", "${TEST_X}"},
		`a \\${TEST_X}`:                    {"a", `\val`},
		`a "x\\${TEST_X}" '\'${TEST_X} \'`: {"a", `x\val`, `\val`, "'"},
	} {
		cfg, problems := config.Parse("config.ini", []byte("[resize]\ncommand = "+value+"\ncount = 2\n"), nil)
		if diff := cmp.Diff(want, cfg.Function("resize").Command()); diff != "" || cfg.Function("resize").Count() != 2 || len(problems) > 0 && !strings.Contains(value, ";") {
			t.Errorf("command = %s: problems %v (-want +got)\n%s", value, problems, diff)
		}
	}
}

// TestVariablesInLists: one variable may hold a whole list.
func TestVariablesInLists(t *testing.T) {
	environment(t)
	cfg := parse(t, "[GearmanManager]\nhost = ${TEST_HOSTS}\ninclude[] = ${TEST_X}\ninclude[] = ${TEST_NONE:-b}\n")
	if diff := cmp.Diff([]string{"one:4730", "two:4731"}, cfg.Hosts()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"val", "b"}, cfg.Include()); diff != "" {
		t.Error(diff)
	}
}

// TestVariableProblems: what is not there is said with its line, what is there is never shown.
func TestVariableProblems(t *testing.T) {
	environment(t)
	t.Setenv("TEST_BIG", "2M")
	for text, want := range map[string]string{
		"prefix = a${TEST_NONE}b${TEST_GONE}": "warning: config.ini:2: [GearmanManager] prefix: there is no TEST_NONE in the environment, so nothing stands in its place, want it set, or ${TEST_NONE:-default}\n" +
			"warning: config.ini:2: [GearmanManager] prefix: there is no TEST_GONE in the environment, so nothing stands in its place, want it set, or ${TEST_GONE:-default}\n",
		"php_args = -d ${TEST_NONE}":                                    "warning: config.ini:2: [GearmanManager] php_args: there is no TEST_NONE in the environment, so nothing stands in its place, want it set, or ${TEST_NONE:-default}\n",
		"count = ${TEST_SECRET}":                                        "error: config.ini:2: [GearmanManager] count: what comes from the environment does not fit and is not shown, want a whole number from 0 to 10000\n",
		"count = 1${TEST_SECRET}":                                       "error: config.ini:2: [GearmanManager] count: what comes from the environment does not fit and is not shown, want a whole number from 0 to 10000\n",
		"on_crash = \"${TEST_SECRET}\"":                                 "error: config.ini:2: [GearmanManager] on_crash: what comes from the environment does not fit and is not shown, want one of: reissue, fail\n",
		"host[] = a\nhost[] = ${TEST_SECRET}":                           "error: config.ini:2: [GearmanManager] host: what comes from the environment does not fit and is not shown, want host[:port]\n",
		"worker_dir = /a,${TEST_SECRET}":                                "warning: config.ini:2: [GearmanManager] worker_dir: what comes from the environment does not fit and is not shown, want no spaces in the list\n",
		"include = ${TEST_SECRET}":                                      "error: config.ini:2: [GearmanManager] include: what comes from the environment does not fit and is not shown, want visible characters only\n",
		"max_memory = ${TEST_SIZE}\nmax_memory_hard = ${TEST_NONE:-5M}": "error: config.ini:3: [GearmanManager] max_memory_hard: max_memory_hard is from the environment, less than max_memory, which is from the environment: workers would be killed before they are replaced, want a larger max_memory_hard\n",
		"prefix = ${TEST X}":                                            "error: config.ini:2: [GearmanManager] prefix: what begins with ${ is neither ${NAME} nor ${NAME:-default}, want one of these for a variable of the environment, or single quotes\n",
		"prefix = \"${TEST_X:-${A}}\"":                                  "error: config.ini:2: [GearmanManager] prefix: what begins with ${ is neither ${NAME} nor ${NAME:-default}, want one of these for a variable of the environment, or single quotes\n",
		"[${TEST_X}]":                                                   "error: config.ini:2: [${TEST_X}]: ${NAME} is not replaced in the name of a section, want the name itself\n",
	} {
		_, problems := config.Parse("config.ini", []byte("[GearmanManager]\n"+text+"\n"), nil)
		var got strings.Builder
		for _, p := range problems {
			got.WriteString(string(p.Severity) + ": " + p.String() + "\n")
		}
		if diff := cmp.Diff(want, got.String()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", text, diff)
		}
	}
}

// TestVariablesInNotes: a note shows what is written, not what it comes to.
func TestVariablesInNotes(t *testing.T) {
	environment(t)
	cfg := parse(t, "[GearmanManager]\ntimeout = ${TEST_NUMBER}\nprefix = \"a ${TEST_SECRET}\"\n")
	notes := differences(cfg)
	if text := strings.Join(notes, "\n"); !strings.Contains(text, "timeout = ${TEST_NUMBER}: ") || strings.Contains(text, "s3cret") {
		t.Error(text)
	}
}
