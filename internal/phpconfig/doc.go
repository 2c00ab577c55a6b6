// Package phpconfig reads a config file that is PHP: one that sets $gearman_config
// to an array of sections, as GearmanManager took it beside ini files.
//
//	<?php
//	$gearman_config = [
//	    'GearmanManager' => ['worker_dir' => ['/srv/workers'], 'count' => 10],
//	    'resize'         => ['dedicated_count' => 5],
//	];
//
// Only PHP can tell what such a file sets, so the php that is on the PATH runs it,
// once, in the working directory and environment of this process, as
// GearmanManager itself did. A file that others may write to is not run.
//
// Entries of its include that end in .ini are ini files with further functions,
// as in an ini file. The files that the file itself includes are told, so that
// they can be watched: a change of one may change the config.
//
// What the file sets comes back on a pipe of its own, so whatever it prints does no
// harm. It then means what the same values would mean in an ini file: true is on,
// false is off, null is not set, a list is a list.
package phpconfig
