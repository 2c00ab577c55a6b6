package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Size of the terminal.
const columns, rows = 100, 30

// record makes both files in dir.
func record(ctx context.Context, dir string) (err error) {
	s, err := build(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.clear()) }()
	began := time.Now()
	shown, err := s.show(ctx)
	if err != nil {
		return err
	}
	var cast bytes.Buffer
	if err := writeCast(&cast, began, shown); err != nil {
		return err
	}
	text, err := plain(shown.text())
	if err != nil {
		return err
	}
	if err := neutral(text); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	for name, data := range map[string][]byte{"controls.cast": cast.Bytes(), "controls.txt": []byte(text)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil { //nolint:gosec // for everybody
			return fmt.Errorf("write recording: %w", err)
		}
	}
	return nil
}

// show plays the scene on a terminal and returns what was to be seen.
func (s *stage) show(ctx context.Context) (shown output, err error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	t, err := startTerminal(ctx, s, "sh")
	if err != nil {
		return nil, err
	}
	if err := t.await(ctx); err != nil {
		return nil, errors.Join(err, t.close())
	}
	for _, l := range scene(s.port) {
		if err := t.play(ctx, l); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", l.text, err), t.close())
		}
	}
	return t.seen(), t.close()
}

// errNotNeutral is a recording that tells where it was made.
var errNotNeutral = errors.New("the recording names this machine")

// neutral looks for names of this machine.
func neutral(text string) error {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("ask for host name: %w", err)
	}
	tree, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("ask for directory: %w", err)
	}
	for _, name := range []string{host, tree} {
		if name != "localhost" && strings.Contains(text, name) {
			return fmt.Errorf("%w: %s", errNotNeutral, name)
		}
	}
	return nil
}
