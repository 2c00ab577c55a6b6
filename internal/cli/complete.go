package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// completeName is the hidden command that completion scripts ask. It is given the shell
// and the words behind the program's name, the last of which is to be completed and may
// be empty. It writes the kind of what may stand there, and for words one on each line,
// with a tab and a description where there is one. It never fails.
const completeName = "complete"

// completeWait is how long a manager may take to name its functions.
const completeWait = time.Second

// What may stand at a place.
const (
	someWords = "words"
	openWords = "open" // that are not complete: there is no space behind them
	someFiles = "files"
	someDirs  = "dirs"
)

// candidates are what may stand at a place.
type candidates struct {
	kind  string
	words []candidate
}

// candidate is a word, and what it is.
type candidate struct{ word, text string }

// runComplete answers a completion script.
func runComplete(ctx context.Context, std *streams, args []string) {
	if len(args) < 2 || args[1] != "--" {
		return
	}
	shell, words := args[0], args[2:]
	if shell == "bash" {
		words = joinBroken(words)
	}
	if len(words) == 0 {
		words = []string{""}
	}
	word := words[len(words)-1]
	found := completeWords(ctx, words)
	cut := 0
	if shell == "bash" { // it replaces what is behind the last of these only
		cut = strings.LastIndexAny(word, "=:") + 1
	}
	var b strings.Builder
	fmt.Fprintln(&b, found.kind)
	for _, c := range found.words {
		if strings.HasPrefix(c.word, word) && plain(c.word) == c.word {
			fmt.Fprintln(&b, strings.TrimSuffix(c.word[cut:]+"\t"+plain(c.text), "\t"))
		}
	}
	_, _ = io.WriteString(std.out, b.String()) // nobody is there to be told
}

// joinBroken puts together what bash has broken at = and :.
func joinBroken(words []string) (joined []string) {
	open := false
	for _, w := range words {
		breaks := w != "" && strings.Trim(w, "=:") == ""
		if last := len(joined) - 1; last >= 0 && (open || breaks) {
			joined[last] += w
		} else {
			joined = append(joined, w)
		}
		open = breaks
	}
	return joined
}

// completeWords finds what may stand in the place of the last word.
func completeWords(ctx context.Context, words []string) candidates {
	c, rest := manageCommand(), words
	if !strings.HasPrefix(words[0], "-") {
		if len(words) == 1 {
			return commandCandidates()
		}
		at := slices.IndexFunc(commands(), func(c command) bool { return c.name == words[0] })
		if at < 0 {
			return candidates{kind: someWords}
		}
		c, rest = commands()[at], words[1:]
	}
	fs, _ := c.flags()
	line := readLine(fs, rest)
	switch {
	case line.flag != nil:
		return flagValues(line.flag, line.prefix)
	case strings.HasPrefix(line.word, "-") && !line.ended:
		return flagCandidates(fs)
	case c.complete == nil:
		return candidates{kind: someWords}
	}
	ctx, cancel := context.WithTimeout(ctx, completeWait)
	defer cancel()
	return c.complete(ctx, line)
}

// commandCandidates are the commands.
func commandCandidates() candidates {
	found := candidates{kind: someWords}
	for _, c := range commands() {
		found.words = append(found.words, candidate{c.name, c.short})
	}
	return found
}

// flagCandidates are the flags of a command.
func flagCandidates(fs *pflag.FlagSet) candidates {
	found := candidates{kind: someWords}
	fs.VisitAll(func(f *pflag.Flag) {
		_, text := pflag.UnquoteUsage(f)
		text, _, _ = strings.Cut(text, ". ")
		found.words = append(found.words, candidate{"--" + f.Name, strings.TrimSuffix(text, ".")})
	})
	return found
}

// flagValues are the values of a flag. Prefix stands before them in the same word.
func flagValues(f *pflag.Flag, prefix string) candidates {
	kind, _ := pflag.UnquoteUsage(f)
	switch {
	case kind == "FILE":
		return candidates{kind: someFiles}
	case strings.HasPrefix(kind, "DIR"):
		return candidates{kind: someDirs}
	}
	found := candidates{kind: someWords}
	for _, value := range map[string][]string{"log-format": {"auto", "console", "json"}, "migration": {"always", "never", "auto"}}[f.Name] {
		found.words = append(found.words, candidate{word: prefix + value})
	}
	return found
}

// typed is a command line as far as it is there.
type typed struct {
	reach  reach
	args   []string    // before the word
	word   string      // that is to be completed
	flag   *pflag.Flag // whose value the word is
	prefix string      // of the word, before the value
	ended  bool        // by --
}

// readLine reads the words behind a command.
func readLine(fs *pflag.FlagSet, words []string) *typed {
	t := &typed{}
	for i, w := range words {
		last := i == len(words)-1
		switch {
		case t.flag != nil:
			if last {
				t.word = w
				return t
			}
			t.set(w)
		case w == "--" && !last && !t.ended:
			t.ended = true
		case strings.HasPrefix(w, "-") && len(w) > 1 && !t.ended:
			t.readFlag(fs, w, last)
		case last:
			t.word = w
		default:
			t.args = append(t.args, w)
		}
	}
	return t
}

// readFlag reads a word that is a flag, with its value or without.
func (t *typed) readFlag(fs *pflag.FlagSet, w string, last bool) {
	name, value, given := strings.Cut(strings.TrimLeft(w, "-"), "=")
	f := fs.Lookup(name)
	if !strings.HasPrefix(w, "--") {
		f, value, given = fs.ShorthandLookup(w[1:2]), w[2:], len(w) > 2
	}
	long := strings.HasPrefix(w, "--")
	switch {
	case last && (!given || !long || f == nil):
		t.word = w
	case f == nil:
	case last:
		t.word, t.flag, t.prefix = w, f, w[:strings.IndexByte(w, '=')+1]
	case given:
		t.flag = f
		t.set(value)
	case f.NoOptDefVal == "":
		t.flag = f
	}
}

// set notes the value of a flag.
func (t *typed) set(value string) {
	switch t.flag.Name {
	case "config":
		t.reach.file = value
	case "socket":
		t.reach.socket = value
	}
	t.flag = nil
}
