package plugins

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// watchManager takes the standard input away from the author's code, which
// gets /dev/null instead, and returns a channel that is closed at its end. The
// manager holds the other end of that pipe: it closes it to let a worker go,
// and the system closes it when the manager dies.
func watchManager() (<-chan struct{}, error) {
	fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("watch the manager: %w", err)
	}
	if err := replaceStdin(); err != nil {
		return nil, err
	}
	_ = unix.SetNonblock(fd, true) // then waiting costs no thread; without it, one
	pipe := os.NewFile(uintptr(fd), "manager")
	gone := make(chan struct{})
	go func() { // ends with the manager
		_, _ = io.Copy(io.Discard, pipe)
		close(gone)
	}()
	return gone, nil
}

// replaceStdin makes descriptor 0 /dev/null.
func replaceStdin() error {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return fmt.Errorf("watch the manager: %w", err)
	}
	defer null.Close() //nolint:errcheck // only read from
	if err := unix.Dup3(int(null.Fd()), 0, 0); err != nil {
		return fmt.Errorf("watch the manager: %w", err)
	}
	return nil
}
