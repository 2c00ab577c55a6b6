package php

import (
	_ "embed" // for the bridge
	"fmt"
	"os"
	"path/filepath"
)

//go:embed bridge.php
var bridge []byte

// boot is what the parent runs as its standard input. A script that comes from there
// does not get the constants STDIN, STDOUT and STDERR, which the forked processes
// define for their own descriptors.
const boot = "<?php array_shift($argv); require $argv[0];\n"

// Names in the directory of a host.
const (
	dirName    = "php"
	bridgeName = "bridge.php"
	bootName   = "boot.php"
	socketName = "socket"
)

// maxDir is the longest runtime directory in bytes: a socket's path is at most 107
// bytes (sun_path of unix(7), less the NUL).
const maxDir = 107 - len("/"+dirName+"/"+socketName)

// files is the directory of a host, and what lies in it.
type files struct {
	dir                  string
	bridge, boot, socket string
}

// writeFiles makes the directory, which must not exist, and the two scripts in it.
func writeFiles(runtimeDir string) (*files, error) {
	dir := filepath.Join(runtimeDir, dirName)
	f := &files{
		dir: dir, bridge: filepath.Join(dir, bridgeName),
		boot: filepath.Join(dir, bootName), socket: filepath.Join(dir, socketName),
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory of php: %w", err)
	}
	for path, text := range map[string][]byte{f.bridge: bridge, f.boot: []byte(boot)} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			_ = f.remove() // the first error says why
			return nil, fmt.Errorf("write %s: %w", filepath.Base(path), err)
		}
	}
	return f, nil
}

func (f *files) remove() error {
	if err := os.RemoveAll(f.dir); err != nil {
		return fmt.Errorf("remove directory of php: %w", err)
	}
	return nil
}
