package fleet

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// phpManners are jobs that leave something behind, or say it in an unusual way,
// and how they end: as told, or where that ends with a star, so that it begins
// like this.
func phpManners() [][2]string {
	return [][2]string{
		// Something is left behind in php.
		{`set_error_handler(function ($level, $text) { throw new ErrorException($text); }); return "strict";`, "complete strict"},
		{`return 1 + $undefined;`, "exception ErrorException: Undefined variable*"},
		{`restore_error_handler(); error_reporting(0); return "quiet";`, "complete quiet"},
		{`error_reporting(E_ALL); set_exception_handler(function () { exit(9); }); return "handled";`, "complete handled"},
		{`throw new Exception("not for the handler");`, "exception Exception: not for the handler*"},
		{`ob_start(function ($text) { return ""; }); echo "swallowed"; return "buffered";`, "complete buffered"},
		{`ob_start(); ob_start(); ob_start(); return "thrice";`, "complete thrice"},
		{`spl_autoload_register(function ($class) { throw new LogicException("no $class"); }); return "registered";`, "complete registered"},
		{`return class_exists("No\Such\Class");`, "exception LogicException: no No\\Such\\Class*"},
		{`ini_set("default_socket_timeout", "0"); ini_set("precision", "3"); return 1.23456;`, "complete 1.23"},
		{`umask(0777); putenv("PATH="); setlocale(LC_ALL, "C"); date_default_timezone_set("Asia/Tokyo"); return "moved";`, "complete moved"},
		{`$_SERVER = $_ENV = []; unset($GLOBALS["argv"], $GLOBALS["argc"]); return "forgotten";`, "complete forgotten"},
		{`register_shutdown_function(function () { echo "shut down"; }); return "later";`, "complete later"},
		{`gc_disable(); $a = new stdClass; $a->self = $a; return "cycle";`, "complete cycle"},
		{`set_time_limit(1); return "limited";`, "complete limited"},
		{`if (function_exists("pcntl_signal")) { pcntl_signal(SIGTERM, SIG_IGN); pcntl_async_signals(false); } return "deaf";`, "complete deaf"},

		// A job outlives itself.
		{`$GLOBALS["kept"] = $job; return "kept";`, "complete kept"},
		{`$kept = $GLOBALS["kept"]; $sent = @$kept->sendData("late"); @$kept->sendComplete("late"); return $sent ? "sent" : "not sent";`, "complete not sent"},
		{`return clone $GLOBALS["kept"] instanceof GearmanJob;`, "*"},

		// Words that are hard to carry.
		{`throw new Exception("\xff\0\n binary");`, "exception Exception: \xff\x00\n binary*"},
		{`throw new Exception(str_repeat("long ", 200000));`, "exception Exception: long long *"},
		{`throw new Exception("");`, "exception Exception*"},
		{`throw new class("boo") extends Exception { public function __toString(): string { throw new Exception("in __toString"); } };`, "exception *"},
		{`return new ArrayObject;`, "exception Error: Object of class ArrayObject*"},
		{`return function () {};`, "exception Error: Object of class Closure*"},
		{`$log = "no list"; return "logged";`, "complete logged"},
		{`$log = null; return "logged";`, "complete logged"},
		{`unset($log); return "logged";`, "complete logged"},
		{`$log[] = "\xff\0"; $log[] = NAN; $log[] = null; $log["key"] = new stdClass; return "logged";`, "complete logged"},
		{`$a = []; $a["self"] = &$a; $log[] = $a; return "logged";`, "complete logged"},
		{`$log = array_fill(0, 5000, "many lines"); return "logged";`, "complete logged"},
		{`echo str_repeat("no line end ", 100000); return "echoed";`, "complete echoed"},
		{`for ($i = 0; $i < 20000; $i++) { echo "many lines\n"; } return "echoed";`, "complete echoed"},

		// Nobody listens.
		{`fclose(STDOUT); fclose(STDERR); return "closed";`, "complete closed"},
		{`echo "echoed after the end\n"; return "echoed";`, "complete echoed"},

		// Too much.
		{`return str_repeat("x", (64 << 20) + 1);`, "exception *67108865*"},
		{`return strlen(str_repeat("x", 64 << 20));`, "complete 67108864"},
	}
}

// TestPHPManners has jobs with bad manners: they end as they should, and the
// same worker does the next job.
func TestPHPManners(t *testing.T) {
	t.Parallel()
	for _, setup := range phpSetups() {
		t.Run(setup.name, func(t *testing.T) {
			t.Parallel()
			f := newPHPFleet(t)
			f.startPHP(setup, "worker_dir = PHP/workers\ninclude = conduct\nverbose = 1\n")
			f.waitAll("conduct", 1)
			pid := strconv.Itoa(f.phpWorkers()["conduct/1"])
			for _, m := range phpManners() {
				code, want := m[0], m[1]
				if got := f.trace("conduct", code); len(got) != 1 || !endsAs(got[0], want) {
					t.Errorf("%s\n got %.300q\nwant %q", code, got, want)
				}
				if next := f.trace("conduct", "return getmypid();"); !slices.Equal(next, []string{"complete " + pid}) {
					t.Errorf("%s\nafterwards: %.300q, want process %s", code, next, pid)
					pid = strconv.Itoa(f.phpWorkers()["conduct/1"])
				}
			}
			f.stopPHP()
		})
	}
}

// endsAs compares an ending with a pattern, in which a star stands for
// anything.
func endsAs(got, want string) bool {
	parts := strings.Split(want, "*")
	got, ok := strings.CutPrefix(got, parts[0])
	for _, part := range parts[1:] {
		_, after, found := strings.Cut(got, part)
		ok = ok && found
		got = after
		if part == "" {
			got = ""
		}
	}
	return ok && got == ""
}
