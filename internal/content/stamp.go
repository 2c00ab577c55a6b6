package content

import (
	"time"

	"golang.org/x/sys/unix"
)

// stamp is what is known of a file without reading it. Equal stamps are equal content, but for changes within a tick of the clock that makes them.
type stamp struct {
	dev, ino     uint64
	size         int64
	mtime, ctime unix.Timespec
}

// stampOf returns the stamp of a file.
func stampOf(st *unix.Stat_t) stamp {
	return stamp{dev: st.Dev, ino: st.Ino, size: st.Size, mtime: st.Mtim, ctime: st.Ctim}
}

// changed returns when the file or its attributes were changed last, by the clock of the file system.
func (s stamp) changed() time.Time { return time.Unix(s.ctime.Unix()) }

// fileID names a file, whatever its content is.
type fileID struct{ dev, ino uint64 }

// id returns the name of the file that the stamp is of.
func (s stamp) id() fileID { return fileID{s.dev, s.ino} }
