package fleet

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/testutil"
)

// traceJob has a job done and lists what the client is told of it, as
// "status 1/3", "data x", "warning x", and at last "complete x", "exception x"
// or "fail".
func traceJob(tb testing.TB, client *gearclient.Client, function, workload string) []string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), testutil.Patience)
	defer cancel()
	var said []string
	result, err := client.Do(ctx, gearclient.Request{Function: function, Workload: []byte(workload), OnUpdate: func(u gearclient.Update) {
		if u.Kind == gearclient.UpdateStatus {
			said = append(said, fmt.Sprintf("status %d/%d", u.Numerator, u.Denominator))
		} else {
			said = append(said, fmt.Sprintf("%v %s", u.Kind, u.Data))
		}
	}})
	return append(said, ending(result, err))
}

// ending is the last line of a trace.
func ending(result []byte, err error) string {
	var exception *gearclient.ExceptionError
	var fail *gearclient.FailError
	switch {
	case errors.As(err, &exception):
		return "exception " + string(exception.Data)
	case errors.As(err, &fail):
		return "fail"
	case err != nil:
		return "error " + err.Error()
	}
	return "complete " + string(result)
}
