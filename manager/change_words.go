package manager

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gearman-manager/gearman-manager/config"
	"github.com/gearman-manager/gearman-manager/supervisor"
)

// none stands for a limit that is off, and a text that is empty.
const none = "none"

func asText(text string) string { return cmp.Or(text, none) }

func asNumber(n int) string { return fmt.Sprint(n) }

// asLimit is for numbers of which 0 is off.
func asLimit[T int | uint64](n T) string {
	if n == 0 {
		return none
	}
	return fmt.Sprint(n)
}

// asSize is for bytes, of which 0 is off.
func asSize[T int64 | uint64](n T) string {
	if n == 0 {
		return none
	}
	return config.FormatSize(int64(n)) //nolint:gosec // the config bounds it
}

// asTime is for times of which 0 is off.
func asTime(d time.Duration) string {
	if d == 0 {
		return none
	}
	return shortDuration(d)
}

// asGrace is for a time of which 0 is no time.
func asGrace(d time.Duration) string { return shortDuration(d) }

func asSwitch(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// asSignal names a signal as the config does.
func asSignal(s syscall.Signal) string {
	if s == 0 {
		return none
	}
	return strings.TrimPrefix(unix.SignalName(s), "SIG")
}

// core is the limit of core dumps.
func core(l supervisor.Limits) string {
	switch {
	case !l.SetCore:
		return none
	case l.Core == math.MaxUint64:
		return config.Unlimited
	case l.Core == 0:
		return "0"
	default:
		return asSize(l.Core)
	}
}
