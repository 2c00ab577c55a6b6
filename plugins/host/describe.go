package host

import (
	"context"
	"path/filepath"

	"github.com/gearman-manager/gearman-manager/plugins"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// Describe starts a program only to ask what it performs, and kills it. It blocks
// for HandshakeTimeout at most, or until ctx ends. Of launch only the program and
// its surroundings matter; the name is the file's if empty.
func (h *Host) Describe(ctx context.Context, launch Launch) (*workerpb.Description, error) {
	if launch.Name == "" {
		launch.Name = filepath.Base(launch.program())
	}
	c, err := h.connect(ctx, &launch)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, h.cfg.HandshakeTimeout, errSlow)
	defer cancel()
	desc, err := c.client.Describe(ctx, &workerpb.DescribeRequest{})
	if err != nil {
		err = c.explain(ctx, err, h.cfg.HandshakeTimeout, "description")
	}
	_ = c.conn.Close() // only says that it was closed before
	c.abort()
	<-c.done
	if err != nil {
		return nil, err
	}
	return desc, checkContract(launch.program(), desc)
}

// checkContract compares what a program says of itself with what is spoken here.
func checkContract(path string, desc *workerpb.Description) error {
	if version := int(desc.GetContract()); version != plugins.ContractVersion {
		return &VersionError{Path: path, Plugin: version, Manager: plugins.ContractVersion}
	}
	return nil
}
