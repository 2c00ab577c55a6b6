package config

import (
	"cmp"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kballard/go-shellquote"
)

// maxSeconds bounds every length of time: ten years, far from the end of [time.Duration].
const maxSeconds = 10 * 366 * 24 * 60 * 60

// valueError says what is wrong with a value and what is wanted. The value counts as not set.
type valueError struct{ message string }

// Error returns the message.
func (e *valueError) Error() string { return e.message }

// clampedError says that a value was taken as the nearest that is allowed. The value counts as set.
type clampedError struct{ message string }

// Error returns the message.
func (e *clampedError) Error() string { return e.message }

// wrong makes a valueError.
func wrong(format string, args ...any) error {
	return &valueError{message: fmt.Sprintf(format, args...)}
}

// convert turns the texts of one key into its typed value. An empty text is never given: it counts as not set.
func (k Key) convert(it *item, cwd string) (any, error) {
	if it.list && !k.isList() {
		return nil, wrong("the value is a list, want %s = one value", k.Name)
	}
	text := it.values[0]
	switch k.Type {
	case Number:
		return k.number(text)
	case Seconds:
		return seconds(text)
	case Microseconds:
		return microseconds(text)
	case Bool:
		return onOff(text)
	case Text:
		return line(text)
	case Path:
		return k.path(text, cwd)
	case PathList:
		return k.paths(it, cwd)
	case NameList:
		return k.nameList(it)
	case HostList:
		return hosts(it)
	case Choice:
		return k.choice(text)
	case Size:
		return k.size(text)
	case Command:
		return k.words(text)
	default:
		return nil, wrong("internal error: key %s has no type", k.Name)
	}
}

// number reads a whole number; a priority beyond its bounds is clamped as GearmanManager does.
func (k Key) number(text string) (any, error) {
	if k.Name == "verbose" && text != "" && len(text) < int(k.Max) && strings.Trim(text, "v") == "" {
		return len(text) + 1, nil // as for GearmanManager, to which -vv was "v"
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	most := cmp.Or(k.Max, math.MaxInt32)
	switch {
	case err != nil:
		return nil, wrong("%q is no number, want a whole number%s", text, k.bounds())
	case n < k.Min && k.Min < 0, n > most && k.Min < 0:
		clamped := min(max(n, k.Min), most)
		return int(clamped), &clampedError{fmt.Sprintf("%d is taken as %d, want a number%s", n, clamped, k.bounds())}
	case n < 0 && k.Min >= 0:
		return nil, wrong("%d is negative, want a whole number%s", n, k.bounds())
	case n < k.Min || n > most:
		return nil, wrong("%d is out of range, want a whole number%s", n, k.bounds())
	}
	return int(n), nil
}

// bounds says between which numbers a value has to be.
func (k Key) bounds() string {
	return fmt.Sprintf(" from %d to %d", k.Min, cmp.Or(k.Max, math.MaxInt32))
}

// seconds reads a length of time in seconds.
func seconds(text string) (any, error) {
	const want = "want seconds, such as 30"
	f, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	switch {
	case err != nil || math.IsNaN(f) || math.IsInf(f, 0) || strings.ContainsAny(text, "xXpP_"):
		return nil, wrong("%q is no number, %s", text, want)
	case f < 0:
		return nil, wrong("%s is negative, %s", strings.TrimSpace(text), want)
	case f > maxSeconds:
		return nil, wrong("%s is more than ten years, %s", strings.TrimSpace(text), want)
	}
	return time.Duration(math.Round(f*1e6)) * time.Microsecond, nil
}

// microseconds reads a length of time in microseconds.
func microseconds(text string) (any, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	switch {
	case err != nil:
		return nil, wrong("%q is no number, want whole microseconds, such as 500000", text)
	case n < 0:
		return nil, wrong("%d is negative, want whole microseconds, such as 500000", n)
	case n > maxSeconds*1e6:
		return nil, wrong("%d is more than ten years, want whole microseconds, such as 500000", n)
	}
	return time.Duration(n) * time.Microsecond, nil
}

// onOff reads a switch. In a file a bare yes has become "1" and a bare no has become empty already.
func onOff(text string) (any, error) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "1", "true", "on", "yes":
		return true, nil
	case "0", "false", "off", "no", "none":
		return false, nil
	default:
		return nil, wrong("%q is neither on nor off, want on or off", text)
	}
}

// line reads a text that has to fit on one line.
func line(text string) (any, error) {
	if strings.ContainsAny(text, "\r\n\x00") {
		return nil, wrong("the value has more than one line, want one")
	}
	return text, nil
}

// path reads one path. The word syslog of log_file is none.
func (k Key) path(text, cwd string) (any, error) {
	if _, err := line(text); err != nil {
		return nil, err
	}
	if k.Name == "log_file" && text == "syslog" {
		return text, &clampedError{"syslog has no effect yet: the log goes to standard error, want the path of a file"}
	}
	return absolute(text, cwd), nil
}

// absolute returns the path as seen from cwd. Symbolic links are left alone: they are resolved when the path is used.
func absolute(path, cwd string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(cwd, path)
}

// choice reads one of a few words. A signal may be named as in C, with SIG.
func (k Key) choice(text string) (any, error) {
	word := strings.ToLower(strings.TrimSpace(text))
	if k.Name == "stop_signal" {
		word = strings.TrimPrefix(strings.ToUpper(word), "SIG")
	}
	if !slices.Contains(k.Choices, word) {
		return nil, wrong("%q is unknown%s, want one of: %s", text, didYouMean(word, k.Choices), strings.Join(k.Choices, ", "))
	}
	return word, nil
}

// unlimited is the typed value of the word [Unlimited].
const unlimited = int64(-1)

// size reads a number of bytes, or the word for no limit where that is one of the choices.
func (k Key) size(text string) (any, error) {
	want := "want bytes, such as 64M (K, M and G are allowed)"
	if slices.Contains(k.Choices, Unlimited) {
		want += ", or " + Unlimited
		if strings.EqualFold(strings.TrimSpace(text), Unlimited) {
			return unlimited, nil
		}
	}
	digits, factor := strings.TrimSpace(text), int64(1)
	for i, suffix := range []string{"K", "M", "G"} {
		if rest, ok := strings.CutSuffix(strings.ToUpper(digits), suffix); ok {
			digits, factor = strings.TrimSpace(rest), 1<<(10*(i+1))
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case err != nil:
		return nil, wrong("%q is no size, %s", text, want)
	case n < k.Min && k.Min > 0:
		return nil, wrong("%d is not positive, %s", n, want)
	case n < 0:
		return nil, wrong("%d is negative, %s", n, want)
	case n > k.Max/factor && k.Max == maxJob:
		return nil, wrong("%s is over 4G, the largest packet that Gearman knows, %s", text, want)
	case n > k.Max/factor:
		return nil, wrong("%s is more than any machine has, %s", text, want)
	}
	return n * factor, nil
}

// FormatSize writes a number of bytes as a config does: with the largest of G, M and K that leaves it whole, else as bytes.
func FormatSize(n int64) string {
	switch {
	case n == unlimited:
		return Unlimited
	case n > 0 && n%(1<<30) == 0:
		return fmt.Sprintf("%dG", n>>30)
	case n > 0 && n%(1<<20) == 0:
		return fmt.Sprintf("%dM", n>>20)
	case n > 0 && n%(1<<10) == 0:
		return fmt.Sprintf("%dK", n>>10)
	default:
		return fmt.Sprintf("%d bytes", n)
	}
}

// words splits a command line, or arguments for one, of which there may be none.
func (k Key) words(text string) (any, error) {
	split, err := shellquote.Split(text)
	empty := len(split) == 0 || len(split) == 1 && split[0] == ""
	switch {
	case err != nil:
		return nil, wrong("the value cannot be split into words (%v), want words as for a shell", err)
	case strings.Contains(text, "\x00"):
		return nil, wrong("a zero byte stands in the value, want text")
	case k.Where == Global && empty:
		return []string(nil), nil
	case empty || split[0] == "":
		return nil, wrong("the first word is empty, want a name or an argument")
	}
	return split, nil
}
