package host

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"

	"github.com/gearman-manager/gearman-manager/plugins"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// Launch says what to start.
type Launch struct {
	// Name is "pool/number". It is the worker's GEARMAN_WORKER.
	Name string
	// Path is the program, an absolute path. It is not searched for.
	Path string
	// Program is the path of the original, if Path is a private copy of it. Errors name
	// it, and the worker finds it in its environment as GEARMAN_PROGRAM. Empty if Path
	// is the original; the variable is not set then, whatever Env says.
	Program string
	// Argv0 is the name that ps shows. Path if empty.
	Argv0 string
	// Args are the arguments after the program's own name.
	Args []string
	// Env is the environment, as key=value. Nothing is inherited; what the
	// handshake and the worker's name need is added, and wins.
	Env []string
	// Dir is the working directory; that of this process if empty.
	Dir string
	// Limits hold before the worker is told to run.
	Limits supervisor.Limits
	// KeepGroup spares what the worker has started when it ends or is killed, see
	// supervisor.Spec.
	KeepGroup bool
	// Request gives what Run is called with. It is called after the handshake, by
	// the goroutine that called Start, so that what it says is news. A nil Request
	// is an empty one.
	Request func() *workerpb.RunRequest
	// Output is called for each line that the program prints, with Stdout or
	// Stderr. The two come from two goroutines. The program never waits for it: of
	// each stream at most supervisor.DefaultLinesPerSecond are given, and what it is
	// too slow for is dropped. May be nil.
	Output func(stream, line string)
	// Dropped is called between the calls of Output where lines of that stream are
	// missing, at most once a second. May be nil.
	Dropped func(stream string, lines int)
	// Started is called as soon as the process exists, before its handshake, by
	// the goroutine that called Start. May be nil.
	Started func(*supervisor.Process)
}

// program is the path by which people know the program.
func (l *Launch) program() string {
	if l.Program != "" {
		return l.Program
	}
	return l.Path
}

// gRPC reads and writes a few hundred bytes now and then; its default of 32 KiB
// for each direction would cost 32 MB with 500 workers.
const grpcBuffer = 4 << 10

// connection is a process that has shaken hands.
type connection struct {
	*process
	conn   *grpc.ClientConn
	client workerpb.WorkerClient
}

// connect starts the program and shakes hands. When ctx ends before that, the
// program is killed. After an error nothing of it is left.
func (h *Host) connect(ctx context.Context, launch *Launch) (*connection, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("start %s: %w", launch.Name, context.Cause(ctx))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, h.cfg.HandshakeTimeout, errSlow)
	defer cancel()
	p := &process{
		sup: h.cfg.Supervisor, launch: launch, first: newHandshakeLine(), done: make(chan struct{}),
	}
	stop := context.AfterFunc(ctx, p.abort)
	c, err := h.handshake(p)
	if !stop() && err == nil {
		_ = c.conn.Close() // only says that it was closed before
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, p.explain(ctx, err, h.cfg.HandshakeTimeout, "handshake")
	}
	return c, nil
}

func (h *Host) handshake(p *process) (*connection, error) {
	client := goplugin.NewClient(h.clientConfig(p))
	protocol, err := client.Client() // starts it
	if err != nil {
		return nil, err
	}
	grpcClient, ok := protocol.(*goplugin.GRPCClient)
	if !ok {
		return nil, fmt.Errorf("internal error: go-plugin gave a %T", protocol)
	}
	raw, err := grpcClient.Dispense(plugins.PluginName)
	if err != nil {
		_ = grpcClient.Conn.Close()
		return nil, err
	}
	worker, ok := raw.(workerpb.WorkerClient)
	if !ok {
		return nil, fmt.Errorf("internal error: go-plugin gave a %T", raw)
	}
	return &connection{process: p, conn: grpcClient.Conn, client: worker}, nil
}

func (h *Host) clientConfig(p *process) *goplugin.ClientConfig {
	return &goplugin.ClientConfig{
		HandshakeConfig: goplugin.HandshakeConfig{
			ProtocolVersion:  plugins.ContractVersion,
			MagicCookieKey:   plugins.CookieKey,
			MagicCookieValue: plugins.CookieValue,
		},
		Plugins:          goplugin.PluginSet{plugins.PluginName: contract{}},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, dir string) (runner.Runner, error) {
			p.env, p.dir = workerEnv(cmd.Env, p.launch), dir
			return p, nil
		},
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: h.cfg.Dir},
		SkipHostEnv:      true,
		Logger:           hclog.NewNullLogger(),
		StartTimeout:     2 * h.cfg.HandshakeTimeout, // connect's context ends first
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithReadBufferSize(grpcBuffer), grpc.WithWriteBufferSize(grpcBuffer), grpc.WithNoProxy(),
		},
	}
}

// contract is the one plugin that go-plugin knows here.
type contract struct {
	goplugin.NetRPCUnsupportedPlugin
}

var _ goplugin.GRPCPlugin = contract{}

// GRPCServer is the plugin's side, which is not served here.
func (contract) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error { return errors.ErrUnsupported }

// GRPCClient makes the manager's side.
func (contract) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return workerpb.NewWorkerClient(conn), nil
}

// workerEnv joins what go-plugin wants, the worker's name and what the caller
// gave. The first of two equal keys is the one that counts, so the caller's are
// dropped, and so are those that would change the handshake, or name another
// program.
func workerEnv(handshake []string, launch *Launch) []string {
	env := append(slices.Clone(handshake), plugins.WorkerEnv+"="+launch.Name)
	if launch.Program != "" {
		env = append(env, plugins.ProgramEnv+"="+launch.Program)
	}
	taken := map[string]bool{plugins.ProgramEnv: true, "PLUGIN_CLIENT_CERT": true, "PLUGIN_MULTIPLEX_GRPC": true, goplugin.EnvUnixSocketGroup: true}
	for _, entry := range env {
		key, _, _ := strings.Cut(entry, "=")
		taken[key] = true
	}
	for _, entry := range launch.Env {
		key, _, _ := strings.Cut(entry, "=")
		if !taken[key] {
			env = append(env, entry)
		}
	}
	return env
}
