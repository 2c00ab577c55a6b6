package control_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/control"
)

// TestDigest: the first changes are told one by one, then one each second; all are
// counted, and after some quiet they are told one by one again.
func TestDigest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var told []string
		add, end := control.Digest(func(c control.Change) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, c.Request+"|"+c.What)
		})
		want := func(when string, lines ...string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(told, lines) {
				t.Errorf("%s: told %q, want %q", when, told, lines)
			}
			told = nil
		}
		many := func(from, to int) {
			for i := from; i <= to; i++ {
				add(control.Change{Request: strconv.Itoa(i), What: "w", Err: errors.New("no")})
			}
		}
		pass := func(d time.Duration) { <-time.After(d) }

		many(1, 1000)
		want("at once", "1|w", "2|w", "3|w", "4|w", "5|w")
		pass(1100 * time.Millisecond)
		want("a second later", "1000|w; the last of 995 requests that were not done")
		many(1001, 1001)
		want("still too many")
		pass(time.Second)
		want("another second later", "1001|w")
		pass(1100 * time.Millisecond)
		many(1, 2)
		want("after a quiet second", "1|w")
		pass(20 * time.Second)
		want("much later", "2|w")
		many(1, 9)
		want("forgotten", "1|w", "2|w", "3|w", "4|w", "5|w")
		end()
		want("at the end", "9|w; the last of 4 requests that were not done")
		many(1, 9)
		pass(20 * time.Second)
		want("after the end")
	})
}

// TestRefusedAreTold: many requests that make no sense cost a few lines that count them
// all, and hide nothing that was done.
func TestRefusedAreTold(t *testing.T) {
	t.Parallel()
	const many = 300
	r := &rig{fleet: &fakeFleet{}, path: filepath.Join(t.TempDir(), "control")}
	r.client = control.NewClient(r.path)
	server, err := control.Open(t.Context(), control.Config{Path: r.path, Fleet: r.fleet, OnChange: r.change})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	for range many {
		if r.client.Retry(t.Context(), "") == nil {
			t.Error("it was done")
		}
	}
	if err := r.client.Retry(t.Context(), "f"); err != nil {
		t.Error(err)
	}
	if r.client.Retry(t.Context(), "busy") == nil {
		t.Error("it was done")
	}
	if err := server.Close(context.Background()); err != nil {
		t.Error(err)
	}
	seconds := int(time.Since(begun)/time.Second) + 1
	counted, lines := 0, 0
	for _, line := range r.changes {
		n := 1
		if _, rest, ok := strings.Cut(line, "the last of "); ok {
			if _, err := fmt.Sscan(rest, &n); err != nil {
				t.Error(err)
			}
		}
		if strings.Contains(line, "no function is named") {
			counted, lines = counted+n, lines+1
		}
	}
	if counted != many || lines > 5+2*seconds {
		t.Errorf("%d lines in %d s tell of %d requests, want %d: %q", lines, seconds, counted, many, r.changes)
	}
	for _, want := range []string{"POST /v1/retry (retry f): <nil>", "POST /v1/retry (retry busy): it is"} {
		if !slices.ContainsFunc(r.changes, func(line string) bool { return strings.HasPrefix(line, want) }) {
			t.Errorf("%q is not told", want)
		}
	}
}
