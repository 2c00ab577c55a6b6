package php_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// newer is a program of PHP that prints what the file uses that PHP 7.4 does not
// have, as "line: what". Run by 8.2, it cannot see all of it: what it knows are the
// tokens and functions that came with 8.0 to 8.4.
const newer = `
$tokens = array_values(array_filter(token_get_all(file_get_contents($argv[1])), function ($t) {
    return !is_array($t) || !in_array($t[0], [T_WHITESPACE, T_COMMENT, T_DOC_COMMENT], true);
}));
$syntax = ['T_MATCH', 'T_NULLSAFE_OBJECT_OPERATOR', 'T_ENUM', 'T_READONLY', 'T_ATTRIBUTE'];
$functions = ['str_contains', 'str_starts_with', 'str_ends_with', 'get_debug_type', 'get_resource_id', 'fdiv', 'preg_last_error_msg',
    'array_is_list', 'fsync', 'fdatasync', 'enum_exists', 'memory_reset_peak_usage', 'ini_parse_quantity', 'array_find',
    'array_any', 'array_all', 'mb_str_pad', 'json_validate', 'str_increment', 'socket_atmark', 'pcntl_rfork', 'pcntl_unshare', 'posix_eaccess'];
$types = ['mixed', 'never', 'static', 'false', 'true', 'null'];
foreach ($tokens as $i => $t) {
    $before = $tokens[$i - 1] ?? '';
    $after = $tokens[$i + 1] ?? '';
    if (!is_array($t)) {
        // ": a|b" of a return type, "a|b $x" of a parameter, "f(name: x)" of a call
        $line = $line ?? 0;
        if ($t === '|' && is_array($before) && is_array($after) && $before[0] === T_STRING && $after[0] === T_STRING
            && is_array($tokens[$i + 2] ?? '') && $tokens[$i + 2][0] === T_VARIABLE) {
            echo "$line: union type\n";
        }
        if ($t === ':' && is_array($before) && $before[0] === T_STRING && in_array($tokens[$i - 2], ['(', ','], true) && $tokens[$i - 2] !== '?') {
            echo "$line: named argument {$before[1]}\n";
        }
        if ($t === ':' && $before === ')' && is_array($after) && in_array(strtolower($after[1]), $types, true)
            && in_array($tokens[$i + 2] ?? '', ['{', '|'], true)) {
            echo "$line: return type {$after[1]}\n";
        }
        continue;
    }
    $line = $t[2];
    if (in_array(token_name($t[0]), $syntax, true)) {
        echo "$line: " . trim($t[1]) . "\n";
    }
    if ($after === '(' && in_array(strtolower(ltrim($t[1], '\\')), $functions, true)
        && !(is_array($before) && in_array($before[0], [T_FUNCTION, T_OBJECT_OPERATOR, T_DOUBLE_COLON], true))) {
        echo "$line: function {$t[1]}\n";
    }
    if (in_array($t[0], [T_PUBLIC, T_PROTECTED, T_PRIVATE], true) && in_array($before, ['(', ','], true)) {
        echo "$line: promoted parameter\n";
    }
}
`

// newerThan74 returns what a PHP file uses that 7.4 does not have.
func newerThan74(t *testing.T, file string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), testutil.Need(t, "php", "php-cli"), "-r", newer, "--", file).CombinedOutput()
	if err != nil {
		t.Fatalf("look at %s: %v\n%s", file, err, out)
	}
	return string(out)
}

// TestBridgeIsOldPHP holds the bridge to the syntax and the functions of PHP 7.4,
// which tests cannot run.
func TestBridgeIsOldPHP(t *testing.T) {
	t.Parallel()
	if found := newerThan74(t, "bridge.php"); found != "" {
		t.Errorf("bridge.php uses what PHP 7.4 does not have:\n%s", found)
	}
	samples := map[string]string{
		"match":      `<?php echo match (1) { 1 => 2 };`,
		"null safe":  `<?php $a?->b();`,
		"attribute":  "<?php\n#[A] class b {}",
		"function":   `<?php if (\str_contains("a", "b")) {}`,
		"union":      `<?php function f(int|string $x) {}`,
		"named":      `<?php f(x: 1);`,
		"mixed":      `<?php function f(): mixed {}`,
		"promoted":   `<?php class a { function __construct(private $x) {} }`,
		"enum":       `<?php enum A {}`,
		"read only":  `<?php class a { public readonly int $x; }`,
		"static":     `<?php class a { function f(): static {} }`,
		"of a class": `<?php f(str_ends_with("a", "b"));`,
	}
	for name, text := range samples {
		file := filepath.Join(t.TempDir(), "sample.php")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if found := newerThan74(t, file); strings.Count(found, "\n") != 1 {
			t.Errorf("of the sample for %s it says %q", name, found)
		}
	}
}
