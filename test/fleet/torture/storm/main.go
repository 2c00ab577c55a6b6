// Command storm is a worker for the tests that kill workers and managers: a plugin,
// or with the argument "alone" a Gearman worker by itself that performs the function
// named after it. With "deaf" instead it takes no notice of SIGTERM.
//
// A workload is a file, to which the process is noted, - for none, and the seconds
// that the job takes. The answer is the process. perform.sh beside it does the same,
// as the PHP files in php/storm do.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/plugins"
)

func main() {
	if len(os.Args) > 2 {
		if err := alone(os.Args[2], os.Args[1] == "deaf"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	plugins.Serve(
		plugins.Init(slowStart),
		plugins.Func("gostay", byPlugin),
		plugins.Func("goturn", byPlugin),
		plugins.Func("gospawn", spawn),
	)
}

// slowStart takes the time that STORM_INIT says.
func slowStart(context.Context) error {
	d, err := time.ParseDuration(os.Getenv("STORM_INIT"))
	if err == nil {
		<-time.After(d)
	}
	return nil
}

func byPlugin(_ context.Context, job *plugins.Job) ([]byte, error) { return perform(job.Workload()) }

// perform does a job. It takes no notice of anything.
func perform(workload []byte) ([]byte, error) {
	words := strings.Fields(string(workload))
	if len(words) != 2 {
		return nil, errors.New("want a file and seconds")
	}
	seconds, err := strconv.ParseFloat(words[1], 64)
	if err != nil {
		return nil, err
	}
	if err := note(words[0]); err != nil {
		return nil, err
	}
	<-time.After(time.Duration(seconds * float64(time.Second)))
	return strconv.AppendInt(nil, int64(os.Getpid()), 10), nil
}

// note adds the process to a file.
func note(file string) error {
	if file == "-" {
		return nil
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, os.Getpid())
	return errors.Join(err, f.Close())
}

// spawn starts a process, "sleep" with the seconds in the workload, and answers its
// number while it runs.
func spawn(_ context.Context, job *plugins.Job) ([]byte, error) {
	cmd := exec.Command("sleep", string(job.Workload()))
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = cmd.Wait() }() // it ends with its group, or is killed by the test
	return strconv.AppendInt(nil, int64(cmd.Process.Pid), 10), nil
}

// alone performs a function until SIGTERM, with the job servers that the environment
// names.
func alone(function string, deaf bool) error {
	w, err := gearclient.NewWorker(gearclient.WorkerConfig{
		Servers:   strings.Split(os.Getenv("GEARMAN_SERVERS"), ","),
		Functions: []string{function},
		Handler: func(_ context.Context, job *gearclient.Job) gearclient.Result {
			answer, err := perform(job.Workload())
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
	go func() {
		for range signals {
			if !deaf {
				w.Drain()
			}
		}
	}()
	return w.Run(context.Background())
}
