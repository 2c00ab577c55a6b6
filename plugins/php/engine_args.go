package php

// engineArgs are the settings that every php is started with, after the operator's:
// those of opcache keep the version that runs whatever the disk holds, in memory, for a
// cache on the disk would be common to all versions; the others
// are what a program that runs for hours and prints into a log needs.
func engineArgs() []string {
	settings := []string{
		"opcache.enable_cli=1",
		"opcache.validate_timestamps=0",
		"opcache.file_update_protection=0",
		"opcache.revalidate_freq=0",
		"opcache.file_cache_only=0",
		"opcache.file_cache=",
		"ignore_user_abort=1",
		"max_execution_time=0",
		"implicit_flush=1",
		"output_buffering=0",
	}
	args := make([]string, 0, 2*len(settings))
	for _, s := range settings {
		args = append(args, "-d", s)
	}
	return args
}
