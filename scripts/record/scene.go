package main

import (
	"fmt"
	"time"
)

// line is one that is typed.
type line struct {
	text string
	// until is after what time the command is interrupted; 0 for one that ends by itself.
	until time.Duration
	// rest is for reading, before the next line is typed.
	rest time.Duration
}

// Times for reading.
const (
	glance = 1200 * time.Millisecond
	look   = 2500 * time.Millisecond
)

// scene is what is shown, with a job server on this port.
func scene(port int) []line {
	return []line{
		{text: "# A fleet with Go, PHP and shell workers, under load.", rest: glance},
		{text: "gearman-manager status", rest: look},
		{text: "gearman-manager workers countdown", rest: look},
		{text: "gearman-manager why countdown", rest: look},
		{text: "# More jobs at a time, until the config changes.", rest: glance},
		{text: "gearman-manager scale countdown=6", rest: glance},
		{text: "gearman-manager why countdown", rest: look},
		{text: "# A new version. It is noticed, tried, and takes over worker by worker.", rest: glance},
		{text: "cp next/reverse workers/ && gearman-manager status --watch", until: 3500 * time.Millisecond, rest: glance},
		{text: "gearman-manager workers countdown", rest: look},
		{text: "gearman-manager pause slug", rest: glance},
		{text: "gearman-manager why slug", rest: look},
		{text: "gearman-manager resume slug", rest: glance},
		{text: "gearman-manager events --lines 6", rest: look},
		{text: "gearman-manager logs countdown | tail -4", rest: look},
		{text: "# A broken file changes nothing.", rest: glance},
		{text: "echo '<?php function slug($job {' > workers/slug.php", rest: glance},
		{text: "gearman-manager reload; echo $?", rest: look},
		{text: "gearman-manager status slug", rest: look},
		{text: fmt.Sprintf("gearman-manager job -h 127.0.0.1:%d slug 'Still here!'; echo", port), rest: look},
		{text: "gearman-manager stop", rest: look},
	}
}
