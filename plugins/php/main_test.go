package php_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// The environment that makes the test binary a php, and says how it behaves as a
// parent and as a worker or inspector.
const (
	parentMode = "PHP_TEST_PARENT"
	workerMode = "PHP_TEST_WORKER"
	markerFile = "PHP_TEST_MARKER" // exists from the first parent on
)

func TestMain(m *testing.M) {
	if os.Getenv(parentMode) != "" {
		os.Exit(playPHP(os.Args))
	}
	goleak.VerifyTestMain(m)
}
