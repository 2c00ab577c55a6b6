package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

func TestLargeFile(t *testing.T) {
	t.Parallel()
	for _, lines := range []int{largeLines, 3 * largeLines} {
		text := largeFile(reversePHP, servicePHP, lines)
		got := strings.Count(text, "\n")
		if most := lines + strings.Count(servicePHP, "\n"); got < lines || got > most {
			t.Errorf("%d lines, want %d to %d", got, lines, most)
		}
		if strings.Contains(strings.ToLower(text), "thing") {
			t.Error("a class has kept the names of the pattern")
		}
		if comments := strings.Count(text, "//"); comments*50 > got {
			t.Errorf("%d comments in %d lines", comments, got)
		}
		if seen := strings.Count(text, "\nfinal class "); seen != strings.Count(text, "\n    public function report") {
			t.Errorf("%d classes are not whole", seen)
		}
	}
}

// PHP loads the file, performs a job with it, and its services do something.
func TestLargeFileRuns(t *testing.T) {
	t.Parallel()
	php := testutil.Need(t, "php", "php-cli")
	file := filepath.Join(t.TempDir(), "reverse.php")
	if err := os.WriteFile(file, []byte(largeFile(reversePHP, servicePHP, largeLines)), 0o600); err != nil {
		t.Fatal(err)
	}
	const script = `
error_reporting(E_ALL);
require $argv[1];
class TestJob { function workload() { return "abc"; } }
$log = [];
echo reverse(new TestJob, $log), "\n";
$service = new OrderService(["order_currency" => "CHF"]);
echo $service->validateOrder(["order_id" => 1, "order_name" => "O", "order_email" => "o"]) ? "yes" : "no", "\n";
echo $service->selectOrders(["order_id" => [1, 2], "order_name" => null])[0], "\n";
echo $service->totalOrders([["order_price" => 10, "order_quantity" => 2]])["order_gross"], "\n";
echo $service->importOrders("a;b\n1;2\n3\n"), "\n";
echo $service->mailOrder(["order_total" => 1234.5], "{{ order_total|money }}")["body"], "\n";
echo $service->cachedOrder("x", "strtoupper"), $service->cachedOrder("x", "strtolower"), "\n";
echo $service->retryOrder(function ($n) { return $n; }, "x"), "\n";
echo $service->moveOrder("order_new", "order_queued"), "\n";
echo substr_count($service->reportOrders(), "order"), "\n";
`
	output, err := exec.Command(php, "-n", "-r", script, file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	const want = `cba
no
SELECT * FROM order_records WHERE order_id IN (?, ?) AND order_name IS NULL ORDER BY order_id LIMIT 1002 OFFSET 0
23.8
1
1.234,50 CHF
XX
1
order_queued
8
`
	if string(output) != want {
		t.Errorf("output:\n%s\nwant:\n%s", output, want)
	}
}
