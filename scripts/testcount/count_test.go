package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	good = `{"Action":"start","Package":"m/a"}
{"Action":"run","Package":"m/a","Test":"TestOne"}
{"Action":"output","Package":"m/a","Test":"TestOne","Output":"=== RUN   TestOne\n"}
{"Action":"run","Package":"m/a","Test":"TestOne/sub"}
{"Action":"pass","Package":"m/a","Test":"TestOne/sub","Elapsed":0.1}
{"Action":"pass","Package":"m/a","Test":"TestOne","Elapsed":0.1}
{"Action":"output","Package":"m/a","Output":"ok  \tm/a\t0.2s\n"}
{"Action":"pass","Package":"m/a","Elapsed":0.2}
{"Action":"skip","Package":"m/empty","Elapsed":0}
`
	skipping = `{"Action":"run","Package":"m/b","Test":"TestServer"}
{"Action":"output","Package":"m/b","Test":"TestServer","Output":"=== RUN   TestServer\n"}
{"Action":"output","Package":"m/b","Test":"TestServer","Output":"    b_test.go:7: no job server here\n"}
{"Action":"output","Package":"m/b","Test":"TestServer","Output":"--- SKIP: TestServer (0.00s)\n"}
{"Action":"skip","Package":"m/b","Test":"TestServer","Elapsed":0}
{"Action":"pass","Package":"m/b","Elapsed":0.01}
`
	failing = `{"Action":"output","Package":"m/c","Test":"TestBad","Output":"    c_test.go:9: got 1, want 2\n"}
{"Action":"fail","Package":"m/c","Test":"TestBad","Elapsed":0}
{"Action":"output","Package":"m/c","Output":"FAIL\n"}
{"Action":"fail","Package":"m/c","Elapsed":0.5}
`
	unbuildable = `{"ImportPath":"m/d [m/d.test]","Action":"build-output","Output":"d.go:3:1: undefined: x\n"}
{"ImportPath":"m/d [m/d.test]","Action":"build-fail"}
{"Action":"output","Package":"m/d","Output":"FAIL\tm/d [build failed]\n"}
{"Action":"fail","Package":"m/d","Elapsed":0,"FailedBuild":"m/d [m/d.test]"}
`
	leaking = `{"Action":"pass","Package":"m/e","Test":"TestLeak","Elapsed":0}
{"Action":"output","Package":"m/e","Output":"goleak: found unexpected goroutines\n"}
{"Action":"fail","Package":"m/e","Elapsed":0.5}
`
	cut = `{"Action":"start","Package":"m/f"}
{"Action":"output","Package":"m/f","Test":"TestHang","Output":"=== RUN   TestHang\n"}
`
)

func TestRun(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		in     string
		strict bool
		ok     bool
		last   string
		shows  string
	}{
		"good":                {in: good, ok: true, last: "2 passed, 0 failed, 0 skipped"},
		"skipped":             {in: good + skipping, ok: true, last: "2 passed, 0 failed, 1 skipped", shows: "m/b TestServer: b_test.go:7: no job server here"},
		"skipped, strict":     {in: good + skipping, strict: true, last: "2 passed, 0 failed, 1 skipped", shows: "CI is set"},
		"good, strict":        {in: good, strict: true, ok: true, last: "2 passed, 0 failed, 0 skipped"},
		"failed":              {in: good + failing, last: "2 passed, 1 failed, 0 skipped", shows: "got 1, want 2"},
		"build failed":        {in: good + unbuildable, last: "2 passed, 1 failed, 0 skipped", shows: "undefined: x"},
		"TestMain failed":     {in: leaking, last: "1 passed, 1 failed, 0 skipped", shows: "unexpected goroutines"},
		"ended in a package":  {in: good + cut, last: "2 passed, 1 failed, 0 skipped", shows: "the run ended before"},
		"nothing":             {in: "", last: "0 passed, 0 failed, 0 skipped", shows: "no test ran"},
		"text between events": {in: "# m/a: vet says no\n" + good, ok: true, last: "2 passed, 0 failed, 0 skipped", shows: "vet says no"},
		"no newline at end":   {in: strings.TrimSpace(good), ok: true, last: "2 passed, 0 failed, 0 skipped"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			ok, err := run(strings.NewReader(tt.in), &out, tt.strict)
			if err != nil {
				t.Fatal(err)
			}
			if ok != tt.ok {
				t.Errorf("ok = %t, want %t; output:\n%s", ok, tt.ok, out.String())
			}
			lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
			if diff := cmp.Diff(tt.last, lines[len(lines)-1]); diff != "" {
				t.Errorf("last line (-want +got):\n%s", diff)
			}
			if !strings.Contains(out.String(), tt.shows) {
				t.Errorf("output lacks %q:\n%s", tt.shows, out.String())
			}
		})
	}
}

func TestPassedOutputIsDropped(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if _, err := run(strings.NewReader(good+failing), &out, false); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "=== RUN") {
		t.Errorf("output of a passed test is shown:\n%s", out.String())
	}
}
