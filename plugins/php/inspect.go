package php

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gearman-manager/gearman-manager/internal/quote"
	"github.com/gearman-manager/gearman-manager/plugins/host"
)

// inspectorName is what an inspector is called.
const inspectorName = "php inspector"

// File is a worker file.
type File struct {
	Function string // that it performs
	Path     string // absolute
	Symbol   string // name of the function or class, with its prefix
	Pear     bool   // a class in the style of PEAR's Net_Gearman
}

// Finding says why a worker file cannot be used.
type Finding struct {
	Path     string // of the worker file
	Function string
	Err      string // what is wrong, without the place
	File     string // where it is wrong, which may be a file that the worker file includes; may be empty
	Line     int    // 0 if it is not known
}

// Inspect loads files, one after the other in a process of its own, and returns what
// is wrong with those that cannot be used, in the order of files. A file that ends
// the process, or takes longer than InitTimeout, is such a one; the files behind it
// are looked at by another process. Inspect blocks until all have been looked at, or
// until ctx ends.
//
// It looks at what the disk holds, and leaves nothing in the opcache of any
// generation. Errors are those of Start.
func (h *Host) Inspect(ctx context.Context, list []File) ([]Finding, error) {
	return h.current().scout.inspect(ctx, list, false)
}

// inspect has processes of the generation load the files.
func (g *Generation) inspect(ctx context.Context, list []File, warm bool) ([]Finding, error) {
	findings := []Finding{}
	for next := 0; next < len(list); {
		found, seen, err := g.inspectSome(ctx, list[next:], warm)
		if err != nil {
			return nil, err
		}
		findings = append(findings, found...)
		next += seen
	}
	return findings, nil
}

func (f File) source() source {
	return source{Function: f.Function, File: f.Path, Symbol: f.Symbol, Pear: f.Pear}
}

// inspectSome has one process look at the files, and returns what is wrong, and how
// many files it has seen: one at least.
func (g *Generation) inspectSome(ctx context.Context, list []File, warm bool) (found []Finding, seen int, err error) {
	p, err := g.open(ctx, &spawn{name: inspectorName, title: "gearman-manager: inspector"})
	if err != nil {
		return nil, 0, err
	}
	if err = p.inspect(list, warm); err == nil {
		found, seen, err = g.h.findings(ctx, p, list)
	}
	if err == nil {
		p.end()
		return found, seen, nil
	}
	err = p.explain(ctx, err, g.h.cfg.InitTimeout, "end")
	switch n := len(found); {
	case ctx.Err() != nil:
		return nil, 0, err
	case n > 0 && found[n-1].Path == list[seen-1].Path:
		return found, seen, nil // the last file has ended it, and that was told
	}
	guilty := list[seen]
	return append(found, Finding{Path: guilty.Path, Function: guilty.Function, Err: why(err)}), seen + 1, nil
}

// inspect tells the process what it is.
func (p *process) inspect(list []File, warm bool) error {
	order := inspection{Warm: warm}
	for _, f := range list {
		order.Files = append(order.Files, f.source())
	}
	line, err := encode("inspect", order)
	if err != nil {
		return err
	}
	return p.conn.send(line)
}

// findings waits for what the process says of each file. seen is of how many it has
// spoken, whatever err is.
func (h *Host) findings(ctx context.Context, p *process, list []File) (found []Finding, seen int, err error) {
	for ; seen < len(list); seen++ {
		stop := h.watchSlow(Slow{Path: list[seen].Path})
		i, err := p.look(ctx, h.cfg.InitTimeout)
		stop()
		if err != nil {
			return found, seen, err
		}
		if i.Error != "" {
			found = append(found, list[seen].finding(i))
		}
	}
	return found, seen, nil
}

// look waits for what the inspector says of the next file.
func (p *process) look(ctx context.Context, timeout time.Duration) (*inspected, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, errSlow)
	defer cancel()
	stop := context.AfterFunc(ctx, p.abort)
	defer stop()
	line, err := p.conn.in.next()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	msg, err := decodeMessage(line)
	if err == nil && msg.Inspected == nil {
		err = &ProtocolError{Line: quote.Line(string(line)), Reason: "it does not say what it found"}
	}
	if err != nil {
		return nil, err
	}
	return msg.Inspected, nil
}

func (f File) finding(i *inspected) Finding {
	return Finding{Path: f.Path, Function: f.Function, Err: i.Error, File: i.In, Line: max(0, i.Line)}
}

// why is what became of an inspector, as a fault of the file that it was loading.
func why(err error) string {
	var (
		exit    *host.ExitError
		timeout *host.TimeoutError
		refused *host.RefusedError
	)
	switch {
	case errors.As(err, &exit):
		text := fmt.Sprintf("php %s while the file was loaded", ended(exit.Exit))
		if line := quote.Telling(exit.Tail); line != "" {
			text += ": " + quote.Line(line)
		}
		return text
	case errors.As(err, &timeout):
		return fmt.Sprintf("it was not loaded within %v", timeout.After)
	case errors.As(err, &refused):
		return refused.Reason
	default:
		return err.Error()
	}
}
