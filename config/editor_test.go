package config

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// someFile makes the text of a file that has no errors. Each comment in it has a number of its own.
func someFile(r *rand.Rand) string {
	var b strings.Builder
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	eol := pick("\n", "\n", "\r\n", "\r")
	comments := 0
	comment := func() string {
		comments++
		return fmt.Sprintf(";%s comment %d'\"[x]=", pick("", " ", "; "), comments)
	}
	fill := func() {
		for range r.IntN(3) {
			b.WriteString(pick("", "  ", comment(), "\t"+comment()) + eol)
		}
	}
	b.WriteString(pick("", "", "\ufeff"))
	sections := []string{GlobalSection, "resize", "thumb", "'a;b'", "x.y", "größe"}
	r.Shuffle(len(sections), func(i, j int) { sections[i], sections[j] = sections[j], sections[i] })
	for _, section := range sections[:r.IntN(len(sections))] {
		fill()
		b.WriteString(pick("", " ") + "[" + section + "]" + pick("", " ", " "+comment()) + eol)
		indent, equals := pick("", "", "  ", "\t"), pick("=", " = ", " = ", "\t= ", "     =")
		for _, key := range []string{"count", "timeout", "prefix", "dedicated_only", "command", "own key", "host[]"} {
			fill()
			if r.IntN(2) == 0 {
				continue
			}
			value := pick("5", "007", "on", "no", "null", "\"a b\"", "'c;d'", "\"\\\"\\\\\"", "plain text", "", "\"\"", "a\"b\"", "two\twords", "\"x"+eol+"; y\"", "'z"+eol+"[t]'", "${CONFIG_TEST_X}", "a$b")
			b.WriteString(indent + key + equals + value + pick("", "", " ", " "+comment(), comment()) + eol)
		}
	}
	fill()
	return strings.TrimSuffix(b.String(), pick(eol, "none"))
}

// someChange makes one that is allowed.
func someChange(r *rand.Rand) Change {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	switch section := pick(GlobalSection, "resize", "thumb", "a;b", "x.y", "größe", "new", "new']"); {
	case section == GlobalSection && r.IntN(2) == 0:
		return Change{section, "prefix", pick("a", "a b", " a", "yes", "none", "\"", "'", "a;b", "\\", "c:\\", "${CONFIG_TEST_X}", "$x", "a=b", "#", "", "[x]", "ä\x01")}
	case section != GlobalSection && r.IntN(3) == 0:
		return Change{section, "command", pick("wc -l", "sh -c 'a; b'", "sh -c \"${X}\"", "a \\; b", "true", "a ;b", "\"a b\" c")}
	case section != GlobalSection && r.IntN(3) == 0:
		return Change{section, "dedicated_only", pick("on", "off", "1", "0", "yes", "")}
	default:
		return Change{section, pick("count", "timeout"), pick("0", "8", "12", "")}
	}
}

// numbered finds the comments of someFile.
var numbered = regexp.MustCompile(`comment \d+'"\[x\]=`)

// TestEditChangesNothingElse makes random changes in random files: all comments stay in their order, at most one line goes, and what the
// file says differs only in the change.
func TestEditChangesNothingElse(t *testing.T) {
	t.Setenv("CONFIG_TEST_X", "val")
	const files = 1500
	r := rand.New(rand.NewPCG(2, 2))
	made, refused := 0, map[string]int{}
	for range files {
		text, change := someFile(r), someChange(r)
		after, err := edit("f.ini", text, []Change{change})
		if err != nil {
			e, ok := errors.AsType[*SaveError](err)
			if !ok || strings.Contains(e.Reason, "internal") {
				t.Fatalf("%q: %+v: %v", text, change, err)
			}
			refused[e.Reason]++
			continue
		}
		made++
		if !slices.Equal(numbered.FindAllString(text, -1), numbered.FindAllString(after, -1)) {
			t.Fatalf("%+v has changed the comments:\n%q\n%q", change, text, after)
		}
		checkEdit(t, text, after, change)
	}
	t.Logf("%d changes were made, others refused: %v", made, refused)
	if made < files/2 {
		t.Errorf("only %d of %d changes were made", made, files)
	}
}

// checkEdit compares the values of both texts, and looks for what has gone from the first.
func checkEdit(t *testing.T, before, after string, change Change) {
	t.Helper()
	old, _ := Parse("f.ini", []byte(before), nil)
	edited, problems := Parse("f.ini", []byte(after), nil)
	at := place{change.Section, change.Key}
	for other := range maps.Keys(old.values) {
		if a, b := old.values[other], edited.values[other]; other != at && fmt.Sprint(a.typed) != fmt.Sprint(b.typed) {
			t.Fatalf("%+v has changed %v from %v to %v:\n%q\n%q", change, other, a.typed, b.typed, before, after)
		}
	}
	for other := range maps.Keys(edited.values) {
		if _, ok := old.values[other]; !ok && other != at {
			t.Fatalf("%+v has set %v:\n%q\n%q", change, other, before, after)
		}
	}
	k, _ := edited.keys.find(change.Key, change.Section)
	var want any
	if change.Value != "" {
		want, _ = k.convert(&item{values: []string{change.Value}}, edited.cwd)
	}
	if got := edited.values[at].typed; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%+v has become %v (%v):\n%q\n%q", change, got, problems, before, after)
	}
	checkGone(t, before, after, change)
}

// checkGone fails when more has gone than the value of one key.
func checkGone(t *testing.T, before, after string, change Change) {
	t.Helper()
	head := 0
	for head < min(len(before), len(after)) && before[head] == after[head] {
		head++
	}
	tail := 0
	for tail < min(len(before), len(after))-head && before[len(before)-1-tail] == after[len(after)-1-tail] {
		tail++
	}
	gone := before[head : len(before)-tail]
	if gone == "" {
		return
	}
	statements, _ := scan("f.ini", before, Keys())
	if !slices.ContainsFunc(statements, func(s statement) bool {
		return s.section == change.Section && s.key == change.Key && strings.Contains(s.value.source, gone)
	}) {
		t.Fatalf("%+v: %q has gone:\n%q\n%q", change, gone, before, after)
	}
}

// TestEditMeansToPHP gives files before and after a change to PHP: it reads the same of both but for the change.
func TestEditMeansToPHP(t *testing.T) {
	t.Setenv("CONFIG_TEST_X", "val")
	r := rand.New(rand.NewPCG(3, 3))
	var texts []string
	var changes []Change
	for len(changes) < 800 {
		text, change := strings.TrimRight(someFile(r), " \t"), someChange(r) // PHP takes space at the end of the file for a part of the value
		change.Section = strings.NewReplacer("größe", "thumb").Replace(change.Section)
		if after, err := edit("f.ini", text, []Change{change}); err == nil && change.Key != "command" && !strings.Contains(text, "command") {
			texts, changes = append(texts, text, after), append(changes, change)
		}
	}
	reads, compared := askPHP(t, texts), 0
	for i, change := range changes {
		before, after := reads[2*i], reads[2*i+1]
		if before == nil || after == nil {
			if (before == nil) != (after == nil) {
				t.Fatalf("%+v: PHP reads only one of\n%q\n%q", change, texts[2*i], texts[2*i+1])
			}
			continue
		}
		at := place{change.Section, change.Key}
		if change.Key == "prefix" && fmt.Sprint(after[at]) != fmt.Sprint([]string{change.Value}) {
			t.Fatalf("%+v: PHP reads %q in\n%q", change, after[at], texts[2*i+1])
		}
		delete(before, at)
		delete(after, at)
		if fmt.Sprint(before) != fmt.Sprint(after) {
			t.Fatalf("%+v: PHP reads\n%q\n%q\nin\n%q\n%q", change, before, after, texts[2*i], texts[2*i+1])
		}
		compared++
	}
	t.Logf("%d of %d changes compared", compared, len(changes))
	if compared < len(changes)/2 {
		t.Errorf("only %d of %d changes could be compared", compared, len(changes))
	}
}

// FuzzEdit changes any text.
func FuzzEdit(f *testing.F) {
	files, err := filepath.Glob("testdata/problems/*.ini")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data), GlobalSection, "prefix", "x")
		f.Add(string(data), "resize", "count", "8")
	}
	r := rand.New(rand.NewPCG(4, 4))
	for range 20 {
		c := someChange(r)
		f.Add(someFile(r), c.Section, c.Key, c.Value)
	}
	f.Fuzz(func(t *testing.T, text, section, key, value string) {
		change := Change{section, key, value}
		after, err := edit("f.ini", text, []Change{change})
		if e, ok := errors.AsType[*SaveError](err); err != nil && (!ok || strings.Contains(e.Reason, "internal")) {
			t.Fatal(err)
		}
		if err != nil {
			return
		}
		checkGone(t, text, after, change)
		again, err := edit("f.ini", after, []Change{change})
		if _, ok := errors.AsType[*SaveError](err); again != after && !ok {
			t.Fatalf("the same change again: %v\n%q\n%q", err, after, again)
		}
	})
}
