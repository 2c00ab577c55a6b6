package jobrecord

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Size is the size of a record in bytes.
const Size = 192

// File is a pool's file of records, mapped into memory. Its methods are safe
// for concurrent use; Close must not run while records are used.
type File struct {
	path    string
	mem     []byte
	records []Record
	once    sync.Once
}

// Create makes a file of n empty records at path with mode 0600 and maps it.
// The caller closes it, and removes it when the pool is gone.
func Create(path string, n int) (*File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create job records: %w", err)
	}
	defer f.Close() //nolint:errcheck // the mapping stays, and nothing was buffered
	if err := f.Truncate(int64(max(n, 0)) * Size); err != nil {
		_ = os.Remove(path) // what counts is the first error
		return nil, fmt.Errorf("create job records: %w", err)
	}
	file, err := mapFile(f, path, n)
	if err != nil {
		_ = os.Remove(path) // as above
	}
	return file, err
}

// Open maps the file that the manager created. The caller closes it.
func Open(path string) (*File, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("open job records: %w", err)
	}
	defer f.Close() //nolint:errcheck // as above
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open job records: %w", err)
	}
	return mapFile(f, path, int(info.Size()/Size))
}

func mapFile(f *os.File, path string, n int) (*File, error) {
	if n < 1 {
		return nil, fmt.Errorf("map job records %s: %w", path, errors.New("the file has no record"))
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, n*Size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map job records %s: %w", path, err)
	}
	file := &File{path: path, mem: mem, records: make([]Record, n)}
	for i := range n {
		file.records[i].mem = (*[Size]byte)(mem[i*Size:])
	}
	return file, nil
}

// Len is the number of records.
func (f *File) Len() int { return len(f.records) }

// Path is the path that the file was created or opened with.
func (f *File) Path() string { return f.path }

// Record returns record i, or an error if there is none.
func (f *File) Record(i int) (*Record, error) {
	if i < 0 || i >= f.Len() {
		return nil, fmt.Errorf("job record %d of %s: it has %d", i, f.path, f.Len())
	}
	return &f.records[i], nil
}

// Close unmaps the file. No Record of it may be used afterwards. Further calls
// do nothing.
func (f *File) Close() error {
	var err error
	f.once.Do(func() { err = unix.Munmap(f.mem) })
	return err
}
