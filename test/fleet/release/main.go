// Command release is a worker for the tests of changing code: a plugin, or with the
// argument "alone" a Gearman worker by itself that performs the first of its functions.
//
// Its version and its functions stand in its data, in a label of fixed length, so that
// a test makes another release by writing other ones over them. The version "broken"
// ends before it is a plugin, "stuck" never becomes one, and "stillborn" says what it
// performs but cannot begin to.
//
// A workload is an id, the seconds that the job takes and a file to which the job is
// noted when it is done: id, version, process, and its begin and end in nanoseconds.
// The answer is id, version and process. release.sh and release.php beside it do the
// same.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/plugins"
)

// label is what tests write over.
var label = "release-label|version.........|functions.......................................|"

func main() {
	parts := strings.Split(label, "|")
	version, functions := strings.TrimSpace(parts[1]), strings.Fields(parts[2])
	if len(os.Args) > 1 && os.Args[1] == "alone" {
		if err := alone(version, functions[0]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	switch version {
	case "broken":
		fmt.Fprintln(os.Stderr, "this release is broken")
		os.Exit(1)
	case "stuck":
		select {}
	}
	serve := []plugins.Part{plugins.Version(version)}
	if version == "stillborn" {
		serve = append(serve, plugins.Init(func(context.Context) error { return errors.New("this release cannot begin") }))
	}
	for _, f := range functions {
		serve = append(serve, plugins.Func(f, func(_ context.Context, job *plugins.Job) ([]byte, error) {
			return perform(version, job.Workload())
		}))
	}
	plugins.Serve(serve...)
}

// perform does a job. It takes no notice of anything.
func perform(version string, workload []byte) ([]byte, error) {
	begin := time.Now()
	words := strings.Fields(string(workload))
	if len(words) != 3 {
		return nil, errors.New("want an id, seconds and a file")
	}
	seconds, err := strconv.ParseFloat(words[1], 64)
	if err != nil {
		return nil, err
	}
	if seconds > 0 {
		<-time.After(time.Duration(seconds * float64(time.Second)))
	}
	f, err := os.OpenFile(words[2], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(f, "%s %s %d %d %d\n", words[0], version, os.Getpid(), begin.UnixNano(), time.Now().UnixNano())
	return fmt.Appendf(nil, "%s %s %d", words[0], version, os.Getpid()), errors.Join(err, f.Close())
}

// alone performs a function until SIGTERM, with the job servers that the environment
// names.
func alone(version, function string) error {
	w, err := gearclient.NewWorker(gearclient.WorkerConfig{
		Servers:   strings.Split(os.Getenv("GEARMAN_SERVERS"), ","),
		Functions: []string{function},
		Handler: func(_ context.Context, job *gearclient.Job) gearclient.Result {
			answer, err := perform(version, job.Workload())
			if err != nil {
				return gearclient.Result{Outcome: gearclient.Raised, Data: []byte(err.Error())}
			}
			return gearclient.Result{Outcome: gearclient.Completed, Data: answer}
		},
	})
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() { // lives as long as the process
		for range signals {
			w.Drain()
		}
	}()
	return w.Run(context.Background())
}
