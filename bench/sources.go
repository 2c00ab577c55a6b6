package main

import _ "embed" // the sources of the workers written in other languages

var (
	//go:embed workers/loop.php
	loopPHP string

	//go:embed workers/reverse.php
	reversePHP string

	//go:embed workers/linger.php
	lingerPHP string

	//go:embed workers/edition.php
	editionPHP string

	//go:embed workers/fork.php
	forkPHP string

	//go:embed workers/service.php
	servicePHP string

	//go:embed workers/gearmanmanager/child.php
	childPHP string

	//go:embed workers/gearmanmanager/process.php
	processPHP string

	//go:embed workers/reverse.c
	reverseC string
)
