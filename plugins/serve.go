package plugins

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// marker puts Marker into the program's data: a constant alone would not be
// kept.
var marker = Marker //nolint:gochecknoglobals // has to be a variable, see above

// Serve is the main function of a worker. It does not return: it ends the
// process when the worker has left, or at once if parts do not make a worker.
//
// Started by gearman-manager it performs jobs. Started by hand it follows its
// arguments: without any it explains itself, "run FUNCTION" performs one job
// from standard input, and "work -h HOST:PORT" performs jobs of a job server.
func Serve(parts ...Part) {
	if marker == "" {
		panic("internal error: the marker is gone")
	}
	d, err := define(parts)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", filepath.Base(os.Args[0]), err)
		os.Exit(2)
	}
	if os.Getenv(CookieKey) != CookieValue {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		context.AfterFunc(ctx, stop) // a second signal ends the process at once
		code := byHand{d, os.Stdin, os.Stdout, os.Stderr}.main(ctx, os.Args)
		stop()
		os.Exit(code)
	}
	if err := serveManager(d); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", filepath.Base(os.Args[0]), err)
		os.Exit(1)
	}
	select {} // leave ends the process
}

// serveManager serves the contract until the manager needs it no more.
func serveManager(d *definition) error {
	gone, err := watchManager()
	if err != nil {
		return err
	}
	stdout, stderr := os.Stdout, os.Stderr
	c := &contract{def: d, gone: gone, exit: os.Exit, giveBack: func() { os.Stdout, os.Stderr = stdout, stderr }}
	serveSignals(c)
	go func() { // ends the process of a worker that has not begun to work
		<-gone
		if c.performer.Load() == nil {
			os.Exit(0)
		}
	}()
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: handshake(),
		Plugins:         plugin.PluginSet{PluginName: &servedPlugin{contract: c}},
		GRPCServer:      func(opts []grpc.ServerOption) *grpc.Server { return grpc.NewServer(opts...) },
		Logger:          hclog.New(&hclog.LoggerOptions{Name: "go-plugin", Level: hclog.Error, Output: stderr}),
	})
	if !c.started.Load() {
		return fmt.Errorf("serve the worker contract: the connection to the manager could not be set up")
	}
	return nil
}

// serveSignals makes SIGTERM a request to leave. SIGINT is the manager's
// business, and writing to an output that nobody reads any more must not kill a
// worker with a job in hand. Notify is used rather than Ignore, which programs
// that a job starts would inherit.
func serveSignals(c *contract) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGPIPE)
	go func() { // lives as long as the process
		for s := range signals {
			if s != syscall.SIGTERM {
				continue
			}
			p := c.performer.Load()
			if p == nil {
				os.Exit(0)
			}
			p.retire("SIGTERM", "")
		}
	}()
}

// handshake is what manager and worker know each other by.
func handshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{
		ProtocolVersion: ContractVersion, MagicCookieKey: CookieKey, MagicCookieValue: CookieValue,
	}
}

// servedPlugin makes the contract one that go-plugin serves.
type servedPlugin struct {
	plugin.NetRPCUnsupportedPlugin
	contract *contract
}

// GRPCServer registers the contract.
func (s *servedPlugin) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	workerpb.RegisterWorkerServer(server, s.contract)
	return nil
}

// GRPCClient is not for this side.
func (s *servedPlugin) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, fmt.Errorf("internal error: a worker is no client of the contract")
}
