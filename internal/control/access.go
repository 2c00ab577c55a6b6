package control

import (
	"encoding/binary"
	"fmt"
	"net"
	"os/user"
	"slices"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// nobody is a user or group that the kernel does not name.
const nobody = -1

// Peer is who asks, as the kernel says.
type Peer struct {
	PID int
	UID int
	GID int
	// groups are those beside GID.
	groups []int
}

// peerOf asks the kernel who is at the other end.
func peerOf(c syscall.Conn) Peer {
	unknown := Peer{UID: nobody, GID: nobody}
	raw, err := c.SyscallConn()
	if err != nil {
		return unknown
	}
	var cred *unix.Ucred
	var groups []int
	asked := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		groups = peerGroups(fd)
	})
	if asked != nil || err != nil {
		return unknown
	}
	return Peer{PID: int(cred.Pid), UID: int(cred.Uid), GID: int(cred.Gid), groups: groups}
}

// maxGroups is how many groups a process may have in Linux.
const maxGroups = 65536

// peerGroups returns the further groups of who is at the other end, none if the kernel
// does not say.
func peerGroups(fd uintptr) (groups []int) {
	const each = 4
	for room := 64; room <= maxGroups; room *= 4 {
		buffer := make([]byte, room*each)
		size := uint32(len(buffer))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&buffer[0])), uintptr(unsafe.Pointer(&size)), 0) //nolint:gosec // there is no function for it
		if errno == unix.ERANGE {
			continue
		} else if errno != 0 {
			return nil
		}
		for buffer = buffer[:size]; len(buffer) >= each; buffer = buffer[each:] {
			groups = append(groups, int(binary.NativeEndian.Uint32(buffer)))
		}
		return groups
	}
	return nil
}

// access says who may ask.
type access struct {
	users []int // beside root
	group int   // nobody: none
}

// allows tells whether a peer may ask.
func (a access) allows(p Peer) bool {
	switch {
	case p.UID == nobody:
		return false
	case p.UID == 0 || slices.Contains(a.users, p.UID):
		return true
	default:
		return a.group != nobody && (p.GID == a.group || slices.Contains(p.groups, a.group))
	}
}

// ownership is whom the socket is given to; nobody leaves it as it is.
type ownership struct{ uid, gid int }

// findOwnership looks up names or numbers.
func findOwnership(owner, group string) (o ownership, err error) {
	if o.uid, err = findID(owner, func() (string, error) {
		u, err := user.Lookup(owner)
		if err != nil {
			return "", fmt.Errorf("find its owner: there is no user %q", owner)
		}
		return u.Uid, nil
	}); err != nil {
		return o, err
	}
	o.gid, err = findID(group, func() (string, error) {
		g, err := user.LookupGroup(group)
		if err != nil {
			return "", fmt.Errorf("find its group: there is no group %q", group)
		}
		return g.Gid, nil
	})
	return o, err
}

func findID(name string, lookUp func() (string, error)) (int, error) {
	if name == "" {
		return nobody, nil
	}
	if id, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(id), nil
	}
	id, err := lookUp()
	if err != nil {
		return nobody, err
	}
	return strconv.Atoi(id)
}

// holder says which process answers at a socket, 0 if that cannot be known.
func holder(c net.Conn) int {
	if u, ok := c.(*net.UnixConn); ok {
		return max(0, peerOf(u).PID)
	}
	return 0
}
