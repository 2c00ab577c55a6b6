// Package php is the manager's side of PHP workers: it starts the processes, says
// to each what it is, and hands over what it tells. The other side is bridge.php,
// which is embedded here and runs unchanged in every php since 7.4.
//
// # Processes
//
// Workers are forked from one warm php, the parent, which itself never runs the
// code of a worker:
//
//	manager ─── supervisor.Start ──► parent   "gearman-manager: php", one for each generation
//	   │                               │ forks twice; the middle process dies
//	   ├── supervisor.Expect, Adopt ─► worker   "gearman-manager: resize/3"
//	   └──            "            ──► inspector, which only loads the files
//
// A worker is therefore the manager's own child: the reaper has its exact exit, and
// the end of the parent takes no worker along. What a worker file opens belongs to
// one worker, since it is loaded after the fork. The parent is started when it is
// first needed. It says which process it has forked, and that is adopted before it
// connects, so that its end is noticed whenever it comes. A parent that has died, or
// that leaves a fork unanswered for [Config.ForkTimeout], is replaced, and the fork is
// asked for once more.
//
// # Versions
//
// A [Generation] is a parent of its own. Opcache, whose memory the processes that it
// forks have in common, never looks at the disk again once it has a file: they run
// what lay there when the first of them loaded it, or at [Generation.Warm], whatever
// the disk holds by then. So the workers of a pool that goes on with the old version
// are restarted with it while those of another generation run the new one. An idle
// parent takes about 8 MB, and ends with its generation.
//
// What is not held: files that are first loaded in the middle of a job, as by an
// autoloader, are those of that moment; files that opcache leaves out (its memory is
// full, opcache.max_file_size, its blacklist), data that worker code reads, and the
// target of a link that a file is included by until it was loaded twice. If the parent
// dies, its successor loads what the disk holds, which is told to Config.Output.
// Without opcache each worker loads what the disk holds, unless the parent preloads;
// where PHP cannot fork, it does so in any case.
//
// Inspections leave nothing in any opcache. Their processes are forked from another
// parent, which the next generation takes over.
//
// The manager has to be a child subreaper (supervisor.Config.Subreaper). Where PHP
// cannot fork, for want of pcntl or posix, each worker and each inspector is a php
// of its own.
//
// # Lines
//
// All of them connect to one unix socket in a private directory and say who they
// are; the kernel says so too (SO_PEERCRED), and both have to agree. From then on
// both sides write lines, each a JSON object with one key that says what it is. The
// messages are those of plugins/workerpb as protojson has them, with the names of
// the .proto file and with enums as numbers:
//
//	parent → {"parent":{"id":"16","php":"8.2.36","pcntl":true,…}}
//	       ← {"fork":{"id":"17","title":…,"stdout":…,"stderr":…}}   {"preload":[…]}
//	       → {"forked":"17","pid":456} or {"not_forked":"17","error":…}       {"preloaded":true} or {"not_preloaded":…}
//	worker → {"id":"17","pid":456}
//	       ← {"run":RunRequest} or {"inspect":{"files":[…],"warm":true}}
//	       → {"event":Hello} or {"refused":…};  {"inspected":{…}} for each file
//	       → {"event":Event} …  {"pong":1}
//	       ← {"go":…} {"set":…} {"pause":…} {"resume":…} {"suspect":…} {"ping":1} {"drain":…}
//
// No call but ping is answered, for a worker that performs a job cannot. It reads
// everything that lies in its socket before it asks for a job and before it performs
// one, so that a line which lies there is known in time. What does not fit into the
// socket of a busy worker waits here, up to 8 MiB.
//
// A line of more than 16 MiB, or one that is not understood, ends the connection.
// Nothing that a peer sends does more harm than that.
//
// # Output
//
// A forked process opens two FIFOs as its standard output and standard error; php
// opens the latter again, by its path, for each message that it logs. The time that
// php puts before those is taken off, since whoever gets the lines knows it. The
// standard input of a worker is /dev/null.
//
// # The end of a worker
//
// One that retires for its runs, its age or its memory rests first where Run asks for
// it: it performs what it has, asks the servers at which it sleeps a last time, says
// Rested, and stays registered until Drain, the end of the manager, or 10 s after its
// last job. That it retires is final, whatever limits are set after that.
//
// It is that of package host: [Worker.Release] is the end of what the worker reads,
// at which one that has left ends, and one that works finishes its job and leaves;
// the kernel does the same when the manager dies. However a worker ends, its events
// come first, then their channel is closed, then [Worker.Done].
package php
