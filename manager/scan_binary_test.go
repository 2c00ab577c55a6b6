package manager

import (
	"bytes"
	"runtime/debug"
	"strings"
	"testing"
	"testing/iotest"
)

// TestClassify reads the build info of plugins, of the manager itself, and of strangers.
func TestClassify(t *testing.T) {
	t.Parallel()
	stranger := debug.Module{Path: "example.com/stranger"}
	for name, c := range map[string]struct {
		info debug.BuildInfo
		want binary
	}{
		"main module":   {debug.BuildInfo{Path: modulePath + "/examples/reverse", Main: debug.Module{Path: modulePath}}, binaryPlugin},
		"dependency":    {debug.BuildInfo{Path: "example.com/stranger", Main: stranger, Deps: []*debug.Module{{Path: "a"}, {Path: modulePath, Version: "v1.2.3"}}}, binaryPlugin},
		"replaced":      {debug.BuildInfo{Main: stranger, Deps: []*debug.Module{{Path: modulePath, Replace: &debug.Module{Path: "../fork"}}}}, binaryPlugin},
		"manager":       {debug.BuildInfo{Path: managerPath, Main: debug.Module{Path: modulePath}}, binaryManager},
		"stranger":      {debug.BuildInfo{Path: "example.com/stranger", Main: stranger, Deps: []*debug.Module{{Path: "a"}}}, binaryOther},
		"like our name": {debug.BuildInfo{Main: debug.Module{Path: modulePath + "-fork"}}, binaryOther},
	} {
		if got := classify(&c.info); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// TestContains finds bytes wherever they stand, across the seams of what is read at a time too.
func TestContains(t *testing.T) {
	t.Parallel()
	marker := []byte(pluginMarker)
	for _, size := range []int{0, 1, 1<<16 - 30, 1<<16 - 10, 1 << 16, 1<<16 + 1, 1<<17 - 5, 1 << 18} {
		text := append(bytes.Repeat([]byte{'x'}, size), marker...)
		text = append(text, "rest"...)
		if found, err := contains(bytes.NewReader(text), marker); !found || err != nil {
			t.Errorf("marker at %d: found %v, %v", size, found, err)
		}
		if found, err := contains(bytes.NewReader(text[:size+len(marker)-1]), marker); found || err != nil {
			t.Errorf("cut marker at %d: found %v, %v", size, found, err)
		}
	}
	if found, err := contains(iotest.HalfReader(strings.NewReader(strings.Repeat("y", 1<<17)+pluginMarker)), marker); !found || err != nil {
		t.Errorf("halves: found %v, %v", found, err)
	}
	if _, err := contains(iotest.ErrReader(iotest.ErrTimeout), marker); err == nil {
		t.Error("an error of the reader is lost")
	}
}
