// Package e2e runs scripts against the program: testdata/*.txtar say what is
// typed and what has to come of it. The test binary itself is the program.
//
// Beside testscript's own commands scripts have:
//
//	exits CODE COMMAND…          run a command that has to exit with this code
//	freeport NAME                set a variable to a port that nobody listens on
//	plugin FILE                  make FILE a Go plugin with the functions reverse and boom
//	signal NAME COMMAND          send TERM, INT or HUP to a background command,
//	                             named by its first arguments
//	waitfor server PORT          wait until a job server answers
//	waitfor workers PORT F N     wait until N workers offer function F
//
// and the condition [missing:PROGRAM].
package e2e
