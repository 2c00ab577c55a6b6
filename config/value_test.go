package config_test

import (
	"testing"

	"github.com/gearman-manager/gearman-manager/config"
)

// TestValues reads values that ini parsers disagree about, without PHP at hand; what PHP makes of them was looked up there.
func TestValues(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		`plain`:            "plain",
		`a#b`:              "a#b",
		`a b  ; note`:      "a b",
		`"x;y" ; note`:     "x;y",
		`'x;y'`:            "x;y",
		`a\`:               `a\`,
		`c:\dir\x`:         `c:\dir\x`,
		`"c:\dir\"`:        `c:\dir\`,
		`"a\\b"`:           `a\b`,
		`"a\"b"`:           `a"b`,
		`"a\"b" ; "c"`:     `a"b`,
		`"a\nb"`:           `a\nb`,
		`"a\'b"`:           `a\'b`,
		`'a\'`:             `a\`,
		`"yes"`:            "yes",
		`yes`:              "1",
		`TRUE`:             "1",
		`on`:               "1",
		`no`:               "",
		`None`:             "",
		`off`:              "",
		`null`:             "",
		`"null"`:           "null",
		`nothing`:          "nothing",
		`yes-man`:          "yes-man",
		`a "b" c`:          "abc",
		`a 'b' c`:          "a b c",
		`%(count)s`:        "",
		`$x`:               "$x",
		`'${X}'`:           "${X}",
		`"""x"""`:          "x",
		"`x`":              "`x`",
		`010`:              "010",
		`[::1]`:            "[::1]",
		`" spaces stay "`:  " spaces stay ",
		"\t tabs\tinside ": "tabs\tinside",
	} {
		cfg, _ := config.Parse("config.ini", []byte("[GearmanManager]\nprefix = "+value+"\ncount = 7\n"), nil)
		if got := cfg.Prefix(); got != want {
			t.Errorf("prefix = %s: %q, want %q", value, got, want)
		}
		if cfg.Count() != 7 {
			t.Errorf("prefix = %s: the next line is lost", value)
		}
	}
}

// TestVerbosityInLetters: GearmanManager took the letters that its -v left over.
func TestVerbosityInLetters(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"v": 2, "vv": 3, "vvv": 4, "vvvv": 5, "3": 3} {
		cfg, problems := config.Parse("c.ini", []byte("[GearmanManager]\nverbose = "+text+"\n"), nil)
		if len(problems) > 0 || cfg.Verbose() != want {
			t.Errorf("%s: %d, %v, want %d", text, cfg.Verbose(), problems, want)
		}
	}
	for _, text := range []string{"vvvvv", "vx", "w"} {
		if _, problems := config.Parse("c.ini", []byte("[GearmanManager]\nverbose = "+text+"\n"), nil); !config.HasErrors(problems) {
			t.Errorf("%s: no error", text)
		}
	}
}
