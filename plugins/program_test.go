package plugins

import (
	"os"
	"testing"
)

func TestProgram(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(ProgramEnv, "")
	if got := Program(); got != self {
		t.Errorf("program %q, want %q", got, self)
	}
	t.Setenv(ProgramEnv, "/opt/workers/resize")
	if got := Program(); got != "/opt/workers/resize" {
		t.Errorf("program %q of a copy", got)
	}
}
