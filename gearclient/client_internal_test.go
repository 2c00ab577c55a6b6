package gearclient

import (
	"errors"
	"testing"
)

// TestTaskAbandonedBeforeItsHandle: a job that the server makes after its caller
// has given up is not listened for.
func TestTaskAbandonedBeforeItsHandle(t *testing.T) {
	t.Parallel()
	task := newTask(Request{})
	task.Abandon()
	if task.created(Handle{Name: "H:1"}, &clientConn{}) {
		t.Error("an abandoned task wants updates")
	}
	if _, err := task.Wait(t.Context()); !errors.Is(err, ErrAbandoned) {
		t.Error(err)
	}
}
