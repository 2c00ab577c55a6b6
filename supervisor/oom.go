package supervisor

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// oomKills counts what the kernel has killed for lack of memory. It belongs to the
// reaper.
//
// The kernel tells nobody of whom it has killed but the log, which is root's; but it
// counts before it kills. So a process that died of SIGKILL which was not sent from
// here was one of those if the counter has risen, and each rise by one explains one
// death. Where another process has caught it at the same time as somebody sent
// SIGKILL to one of ours, the two are not told apart.
type oomKills struct {
	path  string // of the file that counts; empty if there is none
	last  uint64 // as read before
	spare uint64 // how many kills nobody's death has explained
	at    time.Time
}

// spareFor is for how long a kill that was counted waits for the news of the death.
// A process that holds much memory, and does not get the processor, takes its time;
// without an end, a kill among other people's processes would explain a SIGKILL of
// weeks later.
const spareFor = 10 * time.Second

// findOOMKills looks for the best counter: that of the control group which this
// process and its children are in. The one of the whole machine counts its other
// groups too, and is read where there is no other.
func findOOMKills() *oomKills {
	data, _ := os.ReadFile("/proc/self/cgroup") // without it there are no groups
	for _, path := range append(groupCounters(data, "/sys/fs/cgroup"), "/proc/vmstat") {
		k := &oomKills{path: path}
		if n, ok := k.read(); ok {
			k.last = n
			return k
		}
	}
	return &oomKills{}
}

// groupCounters returns the files that count kills in the groups that
// /proc/self/cgroup names, see cgroups(7): of version 2 (memory.events, which
// includes the groups below) or 1 (memory.oom_control). In a container the names
// may be those of the host, and the container's own group is where the tree begins.
func groupCounters(groups []byte, root string) (paths []string) {
	for line := range strings.Lines(string(groups)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		dir, file := "", "memory.events"
		if fields[1] != "" {
			dir, file = "memory", "memory.oom_control"
		}
		if fields[1] != "" && fields[1] != "memory" {
			continue
		}
		top := filepath.Join(root, dir)
		if own := filepath.Join(top, fields[2]); isDir(own) {
			top = own
		}
		paths = append(paths, filepath.Join(top, file))
	}
	return paths
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// read reads the line "oom_kill NUMBER", which all these files have (since Linux
// 4.13, memory.oom_control since 4.17).
func (k *oomKills) read() (count uint64, ok bool) {
	data, err := os.ReadFile(k.path)
	if err != nil {
		return 0, false
	}
	for line := range bytes.Lines(data) {
		if number, found := bytes.CutPrefix(line, []byte("oom_kill ")); found {
			count, err = strconv.ParseUint(string(bytes.TrimSpace(number)), 10, 64)
			return count, err == nil
		}
	}
	return 0, false
}

// claim tells whether a death by SIGKILL that nobody here has sent is explained by
// the counter.
func (k *oomKills) claim(now time.Time) bool {
	if k.path == "" {
		return false
	}
	count, ok := k.read()
	if !ok {
		return false
	}
	if now.Sub(k.at) > spareFor {
		k.spare = 0
	}
	if count > k.last {
		k.spare += count - k.last
		k.at = now
	}
	k.last = count
	if k.spare == 0 {
		return false
	}
	k.spare--
	return true
}
