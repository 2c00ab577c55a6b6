package config

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// readWithPHP gives the files to PHP's own parser, all in one process.
const readWithPHP = `
foreach (json_decode(file_get_contents($argv[1])) as $text) {
    $read = @parse_ini_string(base64_decode($text), true, INI_SCANNER_NORMAL);
    if ($read === false) { echo "null\n"; continue; }
    $out = [];
    foreach ($read as $section => $keys) {
        if (!is_array($keys)) { continue; }
        foreach ($keys as $key => $value) {
            $out[] = [base64_encode((string)$section), base64_encode((string)$key),
                array_map('base64_encode', array_values((array)$value)), is_array($value)];
        }
    }
    echo json_encode($out), "\n";
}`

// phpRead is what PHP makes of one file: the values of each key, nil for a syntax error.
type phpRead map[place][]string

// askPHP returns PHP's reading of each text, or skips the test where there is no PHP.
func askPHP(t *testing.T, texts []string) []phpRead {
	t.Helper()
	php := testutil.Need(t, "php", "php-cli")
	encoded := make([][]byte, len(texts)) // []byte is base64 in JSON
	for i, text := range texts {
		encoded[i] = []byte(text)
	}
	input, err := json.Marshal(encoded)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "texts.json")
	if err := os.WriteFile(file, input, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), php, "-n", "-r", readWithPHP, "--", file).Output()
	if err != nil {
		t.Fatalf("run php: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(texts) {
		t.Fatalf("php answered %d of %d texts", len(lines), len(texts))
	}
	reads := make([]phpRead, len(texts))
	for i, line := range lines {
		reads[i] = decodePHP(t, line)
	}
	return reads
}

// decodePHP reads one line of the script's output.
func decodePHP(t *testing.T, line string) phpRead {
	t.Helper()
	if line == "null" {
		return nil
	}
	var rows [][4]json.RawMessage
	if err := json.Unmarshal([]byte(line), &rows); err != nil {
		t.Fatalf("decode php's answer %q: %v", line, err)
	}
	read := phpRead{}
	for _, row := range rows {
		var section, key []byte
		var values [][]byte
		for i, into := range []any{&section, &key, &values} {
			if err := json.Unmarshal(row[i], into); err != nil {
				t.Fatal(err)
			}
		}
		texts := make([]string, len(values))
		for i, v := range values {
			texts[i] = string(v)
		}
		read[place{string(section), string(key)}] = texts
	}
	return read
}

// readWithUs returns our reading in the same form, by way of ini.v1, and whether there was an error.
func readWithUs(t *testing.T, text string) (phpRead, []Problem) {
	t.Helper()
	statements, problems := scan("f.ini", text, Keys())
	doc := newDocument("f.ini", statements)
	file, err := loadPlain(doc.plain())
	if err != nil {
		t.Fatalf("load %q: %v", text, err)
	}
	read := phpRead{}
	for _, at := range doc.order {
		values, err := texts(file, at)
		if err != nil {
			t.Fatalf("text of %v in %q: %v", at, text, err)
		}
		read[at] = values
	}
	return read, append(problems, doc.problems...)
}

// pieces of which values are made; several in a row, so that their seams are tried too.
func valuePieces() []string {
	return []string{
		"a", "b1", "5", "30", "-1", "0", "1.5", "x_y", "resize,thumb", "a#b", "#", "/var/log/x.log", "C:\\dir\\", "\\", "\\\\", "\\;", "\\'",
		"yes", "no", "on", "off", "none", "null", "true", "false", "YES", "None", "nothing", "yes-man", "onward", "0x10", "1e3",
		" ", "  ", "\t", "\"", "\"", "'", "'", "\"x;y\"", "'x;y'", "\"a\\\"b\"", "\"a\\\\b\"", "\"a\\nb\"", "\"\"", "''", "\" sp \"", "' sp '", "\"\\\\\"",
		"${CONFIG_TEST_X}", "${CONFIG_TEST_X}", "\"${CONFIG_TEST_X}\"", "\"a ${CONFIG_TEST_QUOTES} b\"", "${CONFIG_TEST_SPACE}", "${CONFIG_TEST_NONE}", "\"\\${CONFIG_TEST_X}\"",
		"${CONFIG_TEST_EMPTY}", "${CONFIG_TEST_YES}", "\"$${CONFIG_TEST_X}\"", "\\${CONFIG_TEST_X}", "\"\\$x\"", "'${CONFIG_TEST_X}'", "${", "\"${", "${CONFIG_TEST_X ", "}",
		"\"c:\\d\\\"", "\"#\"", "\"yes\"", "'no'", "\"$x\"", "'${X}'", "'$x'", "\"it's\"", "'say \"x\"'", "\"a=b\"", "'a|b'",
		";", " ; note", ";note", "=", "$x", "a$b", "$", "${X}", "|", "&", "(", ")", "!", "~", "^", "[", "]", "{", "}", "%", "@", "`", "?", "*", ":", ",", ".", "<", ">",
		"ä", "日本", "\x01", "\x80",
	}
}

// generate makes the text of a file with one value of up to five pieces.
func generate(r *rand.Rand) string {
	pieces := valuePieces()
	var value strings.Builder
	for range 1 + r.IntN(5) {
		value.WriteString(pieces[r.IntN(len(pieces))])
	}
	ends := []string{"\n", "\n", "\r\n", "\r"}
	end := ends[r.IntN(len(ends))]
	blank := []string{"", " ", "\t "}[r.IntN(3)]
	return "[resize]" + end + blank + "k" + blank + "=" + blank + value.String() + end + "after = 1" + end
}

// TestValuesMeanWhatPHPMakesOfThem compares thousands of generated files with PHP's own reading. Where we accept a file, PHP reads
// the same; where PHP refuses one, so do we; and we refuse nothing else but what the package doc lists.
func TestValuesMeanWhatPHPMakesOfThem(t *testing.T) {
	for name, value := range map[string]string{"X": "val", "EMPTY": "", "YES": "yes", "SPACE": " s  ", "QUOTES": "a\"b';c\\${CONFIG_TEST_X}\n$"} {
		t.Setenv("CONFIG_TEST_"+name, value)
	}
	const files = 30_000
	r := rand.New(rand.NewPCG(1, 1))
	generated := make([]string, files)
	for i := range generated {
		generated[i] = generate(r)
	}
	accepted := 0
	for i, php := range askPHP(t, generated) {
		if compareWithPHP(t, generated[i], php) {
			accepted++
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d of %d files were accepted by both and read the same", accepted, files)
	if accepted < files/5 {
		t.Errorf("only %d of %d files were accepted by both: the generator does not try enough", accepted, files)
	}
}

// compareWithPHP fails the test where the two readings differ, and reports whether both accepted the file.
func compareWithPHP(t *testing.T, text string, php phpRead) bool {
	t.Helper()
	ours, problems := readWithUs(t, text)
	switch refused := HasErrors(problems); {
	case refused && php != nil:
		if !stricter(text, problems) {
			t.Errorf("%q: refused without need: %v; PHP reads %q", text, problems, php)
		}
		return false
	case refused:
		return false
	case php == nil:
		t.Errorf("%q: PHP refuses it, we read %q", text, ours)
		return false
	}
	if fmt.Sprint(ours) != fmt.Sprint(php) {
		t.Errorf("%q:\n ours %q\n PHP  %q", text, ours, php)
	}
	return true
}

// stricter reports whether a file was refused for one of the reasons that the package doc lists. A quote that is never closed is one
// for an apostrophe only.
func stricter(text string, problems []Problem) bool {
	for _, p := range problems {
		if strings.Contains(p.Message, "never closed") && strings.Contains(text, "'") {
			return true
		}
		for _, reason := range []string{"computes in PHP", "neither ${NAME}", "swallows", "empty pair", "zero byte", "behind the closing bracket", "stands twice"} {
			if p.Severity == Error && strings.Contains(p.Message, reason) {
				return true
			}
		}
	}
	return false
}

// TestFilesMeanWhatPHPMakesOfThem compares the structure of files: sections, repetitions, lists, comments, line ends.
func TestFilesMeanWhatPHPMakesOfThem(t *testing.T) {
	t.Parallel()
	files := []string{
		"[s]\na=1\na=2\n", "[s]\na[]=1\na[]=2\na=3\n", "[s]\na=1\na[]=2\n", "[s]\na[x]=1\na[y]=2\n", "[s];c\na=1", "[s]   \n\n\n;x\n a = 1",
		"\ufeff[s]\na=1\n", "['a;b']\nx=1\n", "[\"a b\"]\nx=1\n", "[a#b]\nx=1\n", "[yes]\nx=1\n", "[a\\b]\nx=1\n", "[a=b]\nx=1\n",
		"[s]\na = \"x\ny\"\nb = 2\n", "[s]\na = 'x\n[t]\ny'\nb = 2\n", "[s]\na\nb=1\n", "[s]\na =\nb = ; c\n", "[s]\na=1;b=2\n", "[s]\n# a = b\n",
		"[s]\na b = 1\n", "[s]\na.b-c = 1\n", "[s]\na=\"x\" junk\n", "[s]\na=1\r\n\r\nb=2\r[t]\rc=3", "[DEFAULT]\na=1\n[default]\na=2\n", "[a.b]\nx=1\n[a]\ny=2\n",
		"[s]\n=5\n", "[s]\nyes=1\n", "[s]\na[=1\n", "[s\na=1\n", "[a;b]\nx=1\n", "[s]\na!b=1\n", "[s]\na\"b=1\n", "[s]\na = b = c\n",
		"[s]\na = \"\"\"x\"\"\"\n", "[s]\na = `x`\n", "[s]\na = %(b)s\nb = 1\n", "[s]\na = x \\\nb = 1\n",
		"", "\n\n", ";only", "[s]",
	}
	for i, php := range askPHP(t, files) {
		// A line that begins with # is skipped here; PHP takes "# a" for a key.
		for at := range php {
			if strings.HasPrefix(at.key, "#") {
				delete(php, at)
			}
		}
		compareWithPHP(t, files[i], php)
	}
}
