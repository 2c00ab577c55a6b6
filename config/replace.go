package config

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// replaceFile puts other content in place of a file's, at once or not at all, unless the file no longer has the content that is known. It
// keeps mode, owner and group.
func replaceFile(path string, known, content []byte) error {
	fail := func(reason string, err error) error { return &SaveError{File: path, Reason: reason, Err: err} }
	info, err := os.Stat(path)
	if err != nil {
		return fail("the config file cannot be found", err)
	}
	if err := checkWritable(path); err != nil {
		return fail("the config file may not be written, want write permission for who saves it", err)
	}
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fail("the directory of the config file cannot be written to, which replacing it takes, want write permission there for who saves it", err)
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // it is gone when all went well
	if err := fill(temp, content, info); err != nil {
		return fail("the new config file cannot be written", err)
	}
	if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, known) {
		return fail("the config file was changed meanwhile, want another try", err)
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return fail("the config file cannot be replaced", err)
	}
	_ = syncDir(filepath.Dir(path)) // the new file is in place; some file systems have no such call for directories
	return nil
}

// checkWritable returns an error for a file that this process may not write to: a directory that may be written to is no leave to replace
// what is in it.
func checkWritable(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err //nolint:wrapcheck // the caller says what it is about
	}
	return file.Close() //nolint:wrapcheck // as above
}

// fill writes content to a new file, gives it mode, owner and group of another one, and closes it when the disk has it.
func fill(file *os.File, content []byte, like fs.FileInfo) error {
	_, err := file.Write(content)
	return errors.Join(err, ownAs(file, like), file.Chmod(like.Mode().Perm()), file.Sync(), file.Close())
}

// ownAs gives a file owner and group of another one. Only root may do so with any.
func ownAs(file *os.File, like fs.FileInfo) error {
	info, err := file.Stat()
	if err != nil {
		return err //nolint:wrapcheck // the caller says what it is about
	}
	have, ok := info.Sys().(*syscall.Stat_t)
	want, also := like.Sys().(*syscall.Stat_t)
	if !ok || !also || have.Uid == want.Uid && have.Gid == want.Gid {
		return nil
	}
	return file.Chown(int(want.Uid), int(want.Gid)) //nolint:wrapcheck // as above
}

// lockDir keeps other processes and goroutines that call it from what they are about to do until the function that it returns is called.
// Where a file system has no locks, or the directory may not be read, there is none.
func lockDir(path string) (unlock func()) {
	dir, err := os.Open(path)
	if err != nil {
		return func() {}
	}
	for err = syscall.EINTR; errors.Is(err, syscall.EINTR); {
		err = syscall.Flock(int(dir.Fd()), syscall.LOCK_EX)
	}
	return func() { _ = dir.Close() } // which ends the lock
}

// syncDir has the disk keep what was renamed in a directory.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err //nolint:wrapcheck // the caller says what it is about
	}
	return errors.Join(dir.Sync(), dir.Close())
}
