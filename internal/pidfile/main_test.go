package pidfile_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/gearman-manager/gearman-manager/internal/pidfile"
)

// holdKey is the variable with the path of the file that this process, started by a
// test, holds until it is killed.
const holdKey = "PIDFILE_TEST_HOLD"

func TestMain(m *testing.M) {
	if path := os.Getenv(holdKey); path != "" {
		hold(path)
	}
	goleak.VerifyTestMain(m)
}

func hold(path string) {
	if _, err := pidfile.Take(path); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("held")
	_, _ = os.Stdin.Read(make([]byte, 1)) // ends with the test at the latest
	os.Exit(0)
}
