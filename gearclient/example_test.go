package gearclient_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"slices"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/internal/jobserver"
)

// exampleServer starts a job server within the process, with a worker that
// offers "reverse", so that the examples run anywhere. A real program names its
// servers instead.
func exampleServer() (addr string, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	server, err := jobserver.New(jobserver.Config{HandlePrefix: "H:example"})
	if err != nil {
		log.Fatal(err)
	}
	if err := server.Start(ctx); err != nil {
		log.Fatal(err)
	}
	worker, err := gearclient.NewWorker(gearclient.WorkerConfig{
		Servers:   []string{server.Addr()},
		Functions: []string{"reverse"},
		Handler:   reverse,
	})
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = worker.Run(ctx)
	}()
	return server.Addr(), func() {
		worker.Drain()
		<-done
		cancel()
		_ = server.Stop(context.Background())
	}
}

// reverse is the handler of the examples: it reports progress, and refuses an
// empty workload with an exception.
func reverse(_ context.Context, job *gearclient.Job) gearclient.Result {
	if len(job.Workload()) == 0 {
		return gearclient.Result{Outcome: gearclient.Raised, Data: []byte("nothing to reverse")}
	}
	_ = job.Status(1, 2)
	text := []rune(string(job.Workload()))
	slices.Reverse(text)
	return gearclient.Result{Data: []byte(string(text))}
}

func ExampleClient_Do() {
	addr, stop := exampleServer()
	defer stop()

	client, err := gearclient.NewClient(gearclient.ClientConfig{Servers: []string{addr}})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Close() }()

	result, err := client.Do(context.Background(), gearclient.Request{
		Function: "reverse",
		Workload: []byte("Hello World!"),
		OnUpdate: func(u gearclient.Update) { fmt.Printf("%v %d/%d\n", u.Kind, u.Numerator, u.Denominator) },
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", result)
	// Output:
	// status 1/2
	// !dlroW olleH
}

// An exception of a worker is an error with a type; whether a job may be sent
// again is told by SafeToRetry.
func ExampleSafeToRetry() {
	addr, stop := exampleServer()
	defer stop()

	client, err := gearclient.NewClient(gearclient.ClientConfig{Servers: []string{addr}})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Close() }()

	_, err = client.Do(context.Background(), gearclient.Request{Function: "reverse"})
	if exception, ok := errors.AsType[*gearclient.ExceptionError](err); ok {
		fmt.Printf("exception: %s\n", exception.Data)
	}
	fmt.Println("safe to retry:", gearclient.SafeToRetry(err))
	// Output:
	// exception: nothing to reverse
	// safe to retry: false
}

// Submitting first and waiting later keeps many jobs in flight over one
// connection.
func ExampleClient_Submit() {
	addr, stop := exampleServer()
	defer stop()
	ctx := context.Background()

	client, err := gearclient.NewClient(gearclient.ClientConfig{Servers: []string{addr}})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Close() }()

	var tasks []*gearclient.Task
	for _, word := range []string{"stressed", "live"} {
		task, err := client.Submit(ctx, gearclient.Request{Function: "reverse", Workload: []byte(word)})
		if err != nil {
			log.Fatal(err)
		}
		tasks = append(tasks, task)
	}
	for _, task := range tasks {
		result, err := task.Wait(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %s\n", task.Handle().Name, result)
	}
	// Output:
	// H:example:1: desserts
	// H:example:2: evil
}

func ExampleClient_Background() {
	addr, stop := exampleServer()
	defer stop()
	ctx := context.Background()

	client, err := gearclient.NewClient(gearclient.ClientConfig{Servers: []string{addr}})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Close() }()

	handle, err := client.Background(ctx, gearclient.Request{Function: "nobody offers this yet"})
	if err != nil {
		log.Fatal(err)
	}
	status, err := client.Status(ctx, handle)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: known %t, running %t\n", handle.Name, status.Known, status.Running)
	// Output:
	// H:example:1: known true, running false
}

func ExampleAdmin() {
	addr, stop := exampleServer()
	defer stop()
	ctx := context.Background()

	admin, err := gearclient.NewAdmin(gearclient.AdminConfig{Server: addr})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = admin.Close() }()

	if err := admin.CreateFunction(ctx, "resize"); err != nil {
		log.Fatal(err)
	}
	functions, err := admin.Status(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range functions {
		if f.Function == "resize" {
			fmt.Printf("%s: %d jobs, %d running, %d workers\n", f.Function, f.Total, f.Running, f.Workers)
		}
	}
	// Output:
	// resize: 0 jobs, 0 running, 0 workers
}
