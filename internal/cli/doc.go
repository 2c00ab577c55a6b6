// Package cli is the command line of gearman-manager: it reads arguments, wires
// the packages that do the work, and turns errors into messages and exit codes.
//
// [Main] is the whole program but for what only a process has: the arguments,
// the standard streams, the signals and the exit code are given to it and
// returned by it. Each command is one file; the table of commands and the
// flags' own descriptions are what help is made of.
//
// Exit codes are the same for all commands:
//
//	0    done
//	1    it did not work: the job failed, the config has errors
//	2    the command line makes no sense
//	3    no job server, or no manager, could be reached, or the connection broke
//	130  ended by SIGINT (128 and the number of the signal; 143 is SIGTERM)
//
// A manager or server that is told to stop by a signal has done what it should:
// 0.
package cli
