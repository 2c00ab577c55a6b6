package config_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/gearman-manager/gearman-manager/config"
)

// TestTableOfKeys checks what the parser, the help and the reference take for granted.
func TestTableOfKeys(t *testing.T) {
	t.Parallel()
	names, flags := map[string]bool{}, map[string]string{}
	for _, k := range config.Keys() {
		for _, where := range []config.Where{config.Global, config.PerFunction} {
			if k.Where != where && k.Where != config.Both {
				continue
			}
			if at := string(where) + " " + k.Name; names[at] {
				t.Errorf("%s stands twice", at)
			} else {
				names[at] = true
			}
		}
		if other, taken := flags[k.Flag]; taken && k.Flag != "" {
			t.Errorf("flag -%s of %s is taken by %s", k.Flag, k.Name, other)
		}
		flags[k.Flag] = k.Name
		if !strings.HasSuffix(k.Doc, ".") || strings.Contains(k.Doc, "\n") {
			t.Errorf("doc of %s is no sentence: %q", k.Name, k.Doc)
		}
		if k.NotYet != "" && !strings.HasPrefix(k.NotYet, "has no effect yet: ") {
			t.Errorf("NotYet of %s: %q", k.Name, k.NotYet)
		}
		if (k.Type == config.Choice) != (len(k.Choices) > 0) && k.Type != config.Size {
			t.Errorf("type %s and choices %v of %s", k.Type, k.Choices, k.Name)
		}
		checkDefault(t, k)
	}
	for flag := range strings.FieldsSeq("c h w D r x t l p P u v a d") {
		if flags[flag] == "" {
			t.Errorf("flag -%s of GearmanManager sets no key", flag)
		}
	}
}

// checkDefault reads the default of a key as if the file had set it: it has to be a value that the key takes, without a word of complaint.
func checkDefault(t *testing.T, k config.Key) {
	t.Helper()
	section := config.GlobalSection
	if k.Where == config.PerFunction {
		section = "resize"
	}
	_, problems := config.Parse("config.ini", fmt.Appendf(nil, "[%s]\n%s = \"%s\"\n", section, k.Name, k.Default), nil)
	if len(problems) > 0 {
		t.Errorf("default of %s: %v", k.Name, problems)
	}
}

// TestReference compares the reference page with the table of keys.
func TestReference(t *testing.T) {
	t.Parallel()
	if *update {
		if err := os.MkdirAll("../docs/reference", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "../docs/reference/config.md", reference())
}

// referenceHead stands above the tables.
const referenceHead = `# Config file

<!-- Made from the table of keys by "go test ./config -update". Do not edit. -->

The config file is GearmanManager's ` + "`config.ini`" + `: a section ` + "`[GearmanManager]`" + ` for what holds for all functions, and one section for
each function, named like it. The file is named with ` + "`-c`" + `; without it the defaults hold.

` + "```ini" + `
[GearmanManager]
worker_dir = /etc/gearman-manager/workers
host       = 127.0.0.1
count      = 10

[resize]
dedicated_count = 5
timeout         = 30 ; seconds

[wc]
command = wc -l
` + "```" + `

A flag on the command line wins over ` + "`[GearmanManager]`" + `, and a function's own value over both.
` + "`gearman-manager check -c FILE`" + ` shows what comes out, and where each number came from.

## How values are read

As PHP's ` + "`parse_ini_file`" + ` reads them:

- ` + "`;`" + ` outside quotes begins a comment. ` + "`#`" + ` does not.
- Quotes are taken off; inside double quotes a backslash protects ` + "`\"`" + ` and ` + "`\\`" + `.
- ` + "`yes`, `on`, `true`" + ` are 1. ` + "`no`, `off`, `none`, `false`" + ` are 0 or off. An empty value and ` + "`null`" + ` count as not set.
- A value with one of ` + "`& | ^ ~ ! ( ) =`" + ` wants quotes, one with a ` + "`$`" + ` single ones.
- ` + "`${NAME}`" + ` is the variable of that name in the environment of the manager, ` + "`${NAME:-default}`" + ` has a default for when there is none.
  Without a default it is empty then, and a warning says so. It is replaced outside quotes and between double ones, where ` + "`\\${NAME}`" + `
  keeps it as it is; between single quotes, in keys and in the names of sections it is not. Problems never show what came from there.
- A list is written with commas, or as ` + "`name[] = value`" + ` once for each entry.
- The quotes in ` + "`command`" + ` and ` + "`php_args`" + ` are the shell's: ` + "`command = sh -c 'sleep 1; cat'`" + ` is three words. ` + "`${NAME}`" + `
  in them is replaced where a shell would, and is always text, whatever quotes it holds.

Times are in seconds (decimals are allowed) unless another unit is named; 0 switches a limit off.

## Several files

    [GearmanManager]
    include = conf.d/*.ini

Entries of ` + "`include`" + ` that end in ` + "`.ini`" + ` are files with sections of functions, read in the order of their names. A relative one is seen
from the directory of the config file. A pattern (` + "`*`" + `, ` + "`?`" + `, ` + "`[a-z]`" + `) may match no file, and leaves out names that begin with a dot; a
plain name has to be there. Names of functions may stand in the same list: with ` + "`include = conf.d/*.ini, resize`" + ` only ` + "`resize`" + ` is performed.

Each section stands in one file, and ` + "`[GearmanManager]`" + ` in the config file; twice is an error that names both places. A file that is
included cannot include others. A config in PHP may include ini files as well.

## Changes while the fleet runs

A changed config file is applied at once (` + "`reload_config`" + `), one that it includes too, also one that is new; only what it changes is touched,
and a file with errors changes nothing. New code runs at once with ` + "`auto_update = on`" + `; else ` + "`gearman-manager reload`" + ` or SIGHUP asks
for it. ` + "`gearman-manager scale FUNCTION=N --save`" + ` writes a number into the file in which it belongs, and leaves comments and everything
else there as they are.
`

// reference makes the page.
func reference() string {
	var b strings.Builder
	b.WriteString(referenceHead)
	for _, part := range []struct {
		title, text string
		where       []config.Where
	}{
		{"In `[GearmanManager]`", "These hold for the manager and the whole fleet.", []config.Where{config.Global}},
		{"In a function's section", "These hold for one function.", []config.Where{config.PerFunction}},
		{"In both", "A function's own value wins over the one in `[GearmanManager]`. How often and when workers are replaced belongs to the worker, so for the shared pool the values in `[GearmanManager]` hold.", []config.Where{config.Both}},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| key | value | default | flag | |\n|---|---|---|---|---|\n", part.title, part.text)
		for _, k := range config.Keys() {
			if k.Where == part.where[0] {
				b.WriteString(referenceRow(k))
			}
		}
	}
	b.WriteString(referenceMigration())
	return b.String()
}

// referenceMigration makes the table of differences.
func referenceMigration() string {
	var b strings.Builder
	b.WriteString(`
## Coming from GearmanManager

A config of GearmanManager works as it is, also one in PHP (` + "`-c config.php`" + `, which sets ` + "`$gearman_config`" + `). These keys mean something else
than they did there, or did not work. ` + "`gearman-manager check --migration`" + ` says which of it matters for a config, and more about its fleet.

| key | when | what is different |
|---|---|---|
`)
	for _, k := range config.Keys() {
		for _, d := range k.Differences {
			text := sentence(d.What)
			if d.Do != "" {
				text += " " + sentence(d.Do)
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.Name, d.When, text)
		}
	}
	return b.String()
}

// sentence makes one of a text, unless it begins with the name of a key.
func sentence(text string) string {
	if first, _, _ := strings.Cut(text, " "); strings.Contains(first, "_") {
		return text + "."
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// referenceRow makes the line of one key.
func referenceRow(k config.Key) string {
	value, fallback, flag, doc := string(k.Type), "", "", k.Doc
	switch {
	case k.Type == config.Choice:
		value = "`" + strings.Join(k.Choices, "`, `") + "`"
	case k.Type == config.Number && k.Unit != "":
		value = "number of " + k.Unit
	case k.Type == config.Size:
		value = "bytes, K, M or G allowed"
		for _, word := range k.Choices {
			value += ", or `" + word + "`"
		}
	}
	if k.Default != "" {
		fallback = "`" + k.Default + "`"
	}
	if k.Flag != "" {
		flag = "`-" + k.Flag + "`"
	}
	if k.NotYet != "" {
		doc += " It " + k.NotYet + "."
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s |\n", k.Name, value, fallback, flag, doc)
}
