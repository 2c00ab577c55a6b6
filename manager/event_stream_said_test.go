package manager

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// TestSaidLines: the last lines of each worker are remembered, and not too much of them.
func TestSaidLines(t *testing.T) {
	t.Parallel()
	s := quietStream(3)
	for i := range saidLast + 5 {
		s.emit(WorkerLogged{Worker: "a/1", Log: &workerpb.Log{Message: fmt.Sprint(i)}})
	}
	long := &workerpb.Log{Message: strings.Repeat("x", 3*saidLength), Attributes: []string{"k", strings.Repeat("y", 3*saidLength)}}
	s.emit(WorkerLogged{Worker: "b/1", Log: long})
	m := &Manager{events: s}
	got := m.PastLogs("a/1")
	if len(got) != saidLast || got[0].Event.(WorkerLogged).Log.GetMessage() != "5" || got[0].Seq != 6 {
		t.Errorf("%d lines, %+v", len(got), got)
	}
	if cut := m.PastLogs("b/1")[0].Event.(WorkerLogged).Log; len(cut.GetMessage()) != saidLength || len(cut.GetAttributes()) != 0 || len(long.GetMessage()) != 3*saidLength {
		t.Errorf("%d bytes are remembered", len(cut.GetMessage()))
	}
	if m.PastLogs("c/1") != nil {
		t.Error("lines of nobody")
	}
	for i := range saidWorkers + 10 {
		s.publish(WorkerLogged{Worker: fmt.Sprintf("w/%d", i), Log: &workerpb.Log{Message: "x"}})
	}
	if len(s.said) != saidWorkers {
		t.Errorf("%d workers are remembered", len(s.said))
	}
}
