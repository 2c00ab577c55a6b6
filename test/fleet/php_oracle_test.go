package fleet

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
	"github.com/gearman-manager/gearman-manager/internal/testutil/jobtest"
)

// conducted are jobs that pecl/gearman answers in a way that is worth keeping.
// A job that kills pecl's loop, by an exception or a result that is no text, is
// none of them.
func conducted() []string {
	return []string{
		// What a function returns.
		`return null;`, `return;`, ``, `return true;`, `return false;`,
		`return 0;`, `return 42;`, `return -7;`, `return PHP_INT_MIN;`,
		`return 1.5;`, `return 1.0;`, `return 0.1 + 0.2;`, `return 1e100;`, `return -0.0;`, `return NAN;`, `return INF;`,
		`return "";`, `return "text";`, `return "0";`, `return "a\0b\xff";`,
		`return [];`, `return [1, 2];`, `return ["a" => "b"];`,
		`return new Text;`, `$x = "by reference"; $y = &$x; return $y;`,
		`return new class { public function __toString(): string { return "of a class without a name"; } };`,

		// What it sends before.
		`$job->sendData("d"); return "r";`,
		`$job->sendData(""); $job->sendData("0"); return "r";`,
		`$job->sendData(5); $job->sendData(1.5); $job->sendData(true); return "r";`,
		`$job->sendData("a\0b"); $job->sendWarning("c\0d"); return "e\0f";`,
		`$job->sendWarning("w"); $job->sendStatus(1, 3); return "r";`,
		`$job->sendStatus(0, 0); $job->sendStatus(7, 3); return null;`,
		`$job->sendStatus(2147483647, 4294967295); return null;`,
		`$job->sendStatus(-1, 5); return "r";`,
		`$job->sendStatus("2", "9"); return false;`,
		`for ($i = 0; $i < 100; $i++) { $job->sendStatus($i, 100); } return $i;`,

		// How it ends by itself, and goes on.
		`$job->sendComplete("c"); return "r";`,
		`$job->sendComplete("c"); return null;`,
		`$job->sendComplete(""); return "r";`,
		`$job->sendComplete(42); return "r";`,
		`$job->sendFail(); return "r";`,
		`$job->sendException("boo"); return "r";`,
		`$job->sendException("boo"); return null;`,
		`$job->sendException("b\0o"); return null;`,
		`$job->sendException("boo"); $job->sendFail(); return "r";`,
		`$job->sendComplete("a"); $job->sendComplete("b"); return "r";`,
		`$job->sendComplete("a"); $job->sendData("late"); return "r";`,
		`$job->sendComplete("a"); $job->sendStatus(1, 2); $job->sendWarning("late"); return "r";`,
		`$job->sendFail(); $job->sendComplete("late"); return "r";`,
		`$job->sendFail(); $job->sendData("late"); $job->sendException("late"); return "r";`,

		// Which return code it sets.
		`$job->setReturn(GEARMAN_SUCCESS); return "r";`,
		`$job->setReturn(GEARMAN_WORK_FAIL); return "r";`,
		`$job->setReturn(GEARMAN_WORK_FAIL); return null;`,
		`$job->setReturn(GEARMAN_WORK_EXCEPTION); return "r";`,
		`$job->setReturn(GEARMAN_WORK_EXCEPTION); return null;`,
		`$job->setReturn(GEARMAN_WORK_ERROR); return "r";`,
		`$job->setReturn(GEARMAN_WORK_DATA); return "r";`,
		`$job->setReturn(GEARMAN_WORK_STATUS); return "r";`,
		`$job->setReturn(GEARMAN_WORK_WARNING); return "r";`,
		`$job->setReturn(GEARMAN_NO_JOBS); return "r";`,
		`$job->setReturn(GEARMAN_WORK_FAIL); $job->setReturn(GEARMAN_SUCCESS); return "r";`,
		`$job->setReturn(GEARMAN_WORK_FAIL); $job->sendComplete("c"); return "r";`,
		`$job->setReturn(GEARMAN_WORK_FAIL); $job->sendData("d"); return "r";`,
		`$job->setReturn(GEARMAN_WORK_FAIL); $job->sendException("boo"); return "r";`,

		// What the methods return.
		`return json_encode([$job->workload(), $job->workloadSize(), $job->functionName(), $job->unique(), $job->returnCode()]);`,
		`return json_encode([$job->sendData("x"), $job->sendStatus(1, 2), $job->sendWarning("w"), $job->returnCode()]);`,
		`return json_encode([$job->setReturn(GEARMAN_SUCCESS), $job->returnCode()]);`,
		`$job->sendData(json_encode([$job->setReturn(GEARMAN_WORK_FAIL), $job->returnCode()])); return "r";`,
		`return json_encode([is_string($job->handle()), $job instanceof GearmanJob]);`,
		`return json_encode([GEARMAN_SUCCESS, GEARMAN_WORK_DATA, GEARMAN_WORK_WARNING, GEARMAN_WORK_STATUS, GEARMAN_WORK_EXCEPTION, GEARMAN_WORK_FAIL,
			GEARMAN_WORK_ERROR, GEARMAN_NO_JOBS, GEARMAN_TIMEOUT, GEARMAN_IO_WAIT, GEARMAN_UNKNOWN_STATE, GEARMAN_ERRNO, GEARMAN_NO_ACTIVE_FDS,
			GEARMAN_LOST_CONNECTION, GEARMAN_JOB_HANDLE_SIZE]);`,

		// Errors that php survives.
		`return @$undefined;`, `return (string) @$job->nosuchproperty;`,
		`trigger_error("a warning", E_USER_WARNING); return "after";`,
		`try { throw new Exception("boo"); } catch (Exception $e) { return $e->getMessage(); }`,
	}
}

// TestPHPAnswersAsPecl compares what clients are told of jobs with what the
// worker loop of pecl/gearman has them told.
func TestPHPAnswersAsPecl(t *testing.T) {
	t.Parallel()
	php := needPecl(t)
	want := askOracle(t, php)
	for _, setup := range phpSetups() {
		t.Run(setup.name, func(t *testing.T) {
			t.Parallel()
			f := newPHPFleet(t)
			f.startPHP(setup, "worker_dir = PHP/workers\ninclude = conduct\nverbose = 1\n")
			f.waitAll("conduct", 1)
			before := f.phpWorkers()
			for i, code := range conducted() {
				if got := f.trace("conduct", code); !slices.Equal(got, want[i]) {
					t.Errorf("%s\n got %q\nwant %q", code, got, want[i])
				}
			}
			if after := f.phpWorkers(); after["conduct/1"] != before["conduct/1"] {
				t.Errorf("the worker was replaced: %v became %v", before, after)
			}
			f.stopPHP()
		})
	}
}

// askOracle has pecl/gearman do the jobs.
func askOracle(t *testing.T, php string) [][]string {
	t.Helper()
	server := testutil.StartGearmand(t)
	oracle := exec.Command(php, filepath.Join("php", "oracle.php"), server.Host, server.Port)
	oracle.Stderr = os.Stderr
	if err := oracle.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = oracle.Process.Kill() // it may have died
		_ = oracle.Wait()
	}()
	client := jobtest.NewClientWith(t, gearclient.ClientConfig{Servers: []string{server.Addr()}})
	var answers [][]string
	for _, code := range conducted() {
		answers = append(answers, traceJob(t, client, "conduct", code))
	}
	return answers
}
