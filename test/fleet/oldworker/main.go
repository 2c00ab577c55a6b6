// Command oldworker is a plugin of another version of the handshake, for tests.
package main

import (
	"context"
	"errors"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/gearman-manager/gearman-manager/plugins"
)

// marker makes the program one that is recognised as a plugin.
var marker = plugins.Marker

func main() {
	if marker == "" {
		return
	}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion: plugins.ContractVersion + 98, MagicCookieKey: plugins.CookieKey, MagicCookieValue: plugins.CookieValue,
		},
		Plugins:    plugin.PluginSet{plugins.PluginName: nothing{}},
		GRPCServer: plugin.DefaultGRPCServer,
	})
}

// nothing is a plugin without any service.
type nothing struct {
	plugin.NetRPCUnsupportedPlugin
}

func (nothing) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return nil }

func (nothing) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.ErrUnsupported
}
