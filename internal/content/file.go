package content

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// NotRegularError says that a path names something that has no content to compare or copy: a directory, a pipe, a device.
type NotRegularError struct {
	// Path is the file.
	Path string
	// Mode is what it is.
	Mode fs.FileMode
}

// Error names the file and what it is.
func (e *NotRegularError) Error() string {
	return fmt.Sprintf("%s is no regular file (%s)", e.Path, e.Mode)
}

// openRegular opens a regular file for reading. It does not wait for the other end of a pipe.
func openRegular(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &NotRegularError{Path: path, Mode: info.Mode()}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// fstat returns the stamp of an open file.
func fstat(f *os.File) (stamp, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return stamp{}, &fs.PathError{Op: "fstat", Path: f.Name(), Err: err}
	}
	return stampOf(&st), nil
}

// hashFile returns the hash of a file's content and the stamp that the file had while it was read; steady says that it was the same before and after.
func hashFile(path string) (hash string, of stamp, steady bool, err error) {
	f, err := openRegular(path)
	if err != nil {
		return "", stamp{}, false, err
	}
	defer func() { _ = f.Close() }()
	before, err := fstat(f)
	if err != nil {
		return "", stamp{}, false, err
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", stamp{}, false, fmt.Errorf("hash %s: %w", path, err)
	}
	after, err := fstat(f)
	if err != nil {
		return "", stamp{}, false, err
	}
	return hex.EncodeToString(sum.Sum(nil)), after, before == after, nil
}
