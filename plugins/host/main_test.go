package host_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/gearman-manager/gearman-manager/plugins"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// behaviour is the environment variable that makes the test binary a plugin and
// says which.
const behaviour = "HOST_TEST_PLUGIN"

func TestMain(m *testing.M) {
	if mode := os.Getenv(behaviour); mode != "" {
		os.Exit(playPlugin(mode))
	}
	goleak.VerifyTestMain(m)
}

// burst is how many events a plugin of that behaviour sends: more than wait for
// their reader here.
const burst = 30

// floodLines is how many lines a plugin of that behaviour prints on each stream.
const floodLines = 50_000

// playPlugin is a plugin that behaves as mode says.
func playPlugin(mode string) int {
	switch mode {
	case "garbage":
		fmt.Println("Hello, I am\x01 no plugin" + strings.Repeat("!", 1000))
		select {}
	case "garbage without end":
		fmt.Print("still thinking")
		select {}
	case "exit":
		_, _ = fmt.Fprintln(os.Stderr, "reading settings")
		_, _ = fmt.Fprintln(os.Stderr, "cannot load libfoo.so.7")
		return 3
	case "panic":
		panic("no settings")
	case "silent":
		select {}
	case "no server":
		return listenOnly("unix", os.Getenv(goplugin.EnvUnixSocketDir)+"/socket")
	case "elsewhere":
		return listenOnly("tcp", "127.0.0.1:0")
	}
	return serve(mode)
}

// listenOnly shakes hands and never accepts a connection.
func listenOnly(network, address string) int {
	l, err := net.Listen(network, address)
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Printf("1|%d|%s|%s|grpc|\n", plugins.ContractVersion, network, l.Addr())
	select {}
}

func serve(mode string) int {
	version := uint(plugins.ContractVersion)
	if mode == "handshake of version 7" {
		version = 7
	}
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: goplugin.HandshakeConfig{
			ProtocolVersion: version, MagicCookieKey: plugins.CookieKey, MagicCookieValue: plugins.CookieValue,
		},
		Plugins: goplugin.PluginSet{plugins.PluginName: servedPlugin{impl: &testWorker{
			mode: mode, out: os.Stdout, errs: os.Stderr, drained: make(chan string, 1),
		}}},
		GRPCServer: goplugin.DefaultGRPCServer,
		Logger:     hclog.NewNullLogger(),
	})
	return 0
}

type servedPlugin struct {
	goplugin.NetRPCUnsupportedPlugin

	impl workerpb.WorkerServer
}

func (p servedPlugin) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	workerpb.RegisterWorkerServer(s, p.impl)
	return nil
}

func (servedPlugin) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.ErrUnsupported
}

// testWorker speaks the contract without performing anything. Each call is told
// back as an event, so that a test sees that it arrived.
type testWorker struct {
	workerpb.UnimplementedWorkerServer

	mode      string
	out, errs *os.File // as they were before go-plugin replaced them
	drained   chan string
}

func (w *testWorker) describe() *workerpb.Description {
	contract := uint32(plugins.ContractVersion)
	if w.mode == "description of version 7" {
		contract = 7
	}
	return &workerpb.Description{Contract: contract, Version: "v1.2", Functions: []string{"reverse", "resize"}}
}

func (w *testWorker) Describe(context.Context, *workerpb.DescribeRequest) (*workerpb.Description, error) {
	switch w.mode {
	case "slow description":
		select {} // an answer at the deadline might come before it is noticed
	case "exit in description":
		_, _ = fmt.Fprintln(w.errs, "gone")
		os.Exit(4)
	}
	return w.describe(), nil
}

func (w *testWorker) Run(req *workerpb.RunRequest, stream grpc.ServerStreamingServer[workerpb.Event]) error {
	switch w.mode {
	case "run refused":
		return errors.New("open job records: no such file")
	case "no hello":
		return nil
	case "other event first":
		return stream.Send(busy(0))
	case "slow init":
		<-stream.Context().Done()
		return nil
	case "exit in init":
		_, _ = fmt.Fprintln(w.errs, "panic: no database")
		_, _ = fmt.Fprintln(w.errs, "goroutine 1 [running]:")
		os.Exit(2)
	}
	pid := uint32(os.Getpid())
	if err := stream.Send(&workerpb.Event{Event: &workerpb.Event_Hello{
		Hello: &workerpb.Hello{Pid: pid, Description: w.describe()},
	}}); err != nil {
		return err
	}
	return w.work(req, stream)
}

func (w *testWorker) work(req *workerpb.RunRequest, stream grpc.ServerStreamingServer[workerpb.Event]) error {
	switch w.mode {
	case "burst":
		for i := range uint32(burst) {
			if err := stream.Send(busy(i)); err != nil {
				return err
			}
		}
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(5)
	case "stream ends":
		return nil
	case "floods":
		var all strings.Builder
		for i := range floodLines {
			_, _ = fmt.Fprintf(&all, "line %d\n", i)
		}
		for _, f := range []*os.File{w.out, w.errs} { // waits for whoever does not read
			if _, err := f.WriteString(all.String()); err != nil {
				return err
			}
		}
		if err := stream.Send(busy(0)); err != nil {
			return err
		}
	case "starts a daemon":
		pid, err := syscall.ForkExec("/bin/sleep", []string{"sleep", "300"}, &syscall.ProcAttr{})
		if err != nil {
			return err
		}
		if err := stream.Send(busy(uint32(pid))); err != nil {
			return err
		}
	case "prints":
		_, _ = fmt.Fprintf(w.out, "args %q\n", os.Args)
		_, _ = fmt.Fprintf(w.out, "worker %s\n", os.Getenv(plugins.WorkerEnv))
		_, _ = fmt.Fprintf(w.out, "HOME=%q COLOR=%q\n", os.Getenv("HOME"), os.Getenv("COLOR"))
		_, _ = fmt.Fprintf(w.out, "program %q\n", os.Getenv(plugins.ProgramEnv))
		_, _ = fmt.Fprintln(w.errs, "a warning")
		_, _ = fmt.Fprintf(w.out, "servers %d", len(req.GetServers())) // no end of line
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	reason := <-w.drained
	_ = stream.Send(&workerpb.Event{Event: &workerpb.Event_Retiring{Retiring: &workerpb.Retiring{Reason: reason}}})
	_ = stream.Send(&workerpb.Event{Event: &workerpb.Event_Left{Left: &workerpb.Left{}}})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	<-stream.Context().Done()
	return nil
}

func (w *testWorker) Drain(_ context.Context, req *workerpb.DrainRequest) (*workerpb.Done, error) {
	w.drained <- req.GetReason()
	return &workerpb.Done{}, nil
}

func (w *testWorker) Ping(ctx context.Context, _ *workerpb.PingRequest) (*workerpb.Pong, error) {
	if w.mode == "no pong" {
		<-ctx.Done()
	}
	return &workerpb.Pong{}, nil
}

func (*testWorker) Go(_ context.Context, req *workerpb.GoRequest) (*workerpb.Done, error) {
	return &workerpb.Done{}, echo("go", req.GetHold().String())
}

func (*testWorker) Set(_ context.Context, req *workerpb.Settings) (*workerpb.Done, error) {
	return &workerpb.Done{}, echo("set", fmt.Sprint(req.GetVerbosity()))
}

func (*testWorker) Pause(_ context.Context, req *workerpb.FunctionNames) (*workerpb.Done, error) {
	return &workerpb.Done{}, echo("pause", strings.Join(req.GetNames(), ","))
}

func (*testWorker) Resume(_ context.Context, req *workerpb.FunctionNames) (*workerpb.Done, error) {
	return &workerpb.Done{}, echo("resume", strings.Join(req.GetNames(), ","))
}

func (*testWorker) Suspect(_ context.Context, req *workerpb.Suspects) (*workerpb.Done, error) {
	return &workerpb.Done{}, echo("suspect", req.GetAdd()[0].GetJob().GetHandle())
}

// echo answers a call with an error that says what arrived.
func echo(call, what string) error { return fmt.Errorf("%s got %s", call, what) }

func busy(slot uint32) *workerpb.Event {
	return &workerpb.Event{Event: &workerpb.Event_Busy{Busy: &workerpb.Busy{Slot: slot}}}
}
