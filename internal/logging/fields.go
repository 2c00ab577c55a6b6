package logging

// Keys of fields in log lines. Each means one thing wherever it stands. Keys
// that end in _ms are milliseconds.
const (
	FieldAddress     = "address" // host:port that something listens on
	FieldAfter       = "after_ms"
	FieldAttempts    = "attempts" // how often a job was tried
	FieldCause       = "cause"
	FieldDetail      = "detail" // what is wrong, for people
	FieldDir         = "dir"
	FieldDrained     = "drained" // functions
	FieldExit        = "exit"    // how a process ended, in words
	FieldExitCode    = "exit_code"
	FieldFailures    = "failures" // starts that failed in a row
	FieldFile        = "file"     // with line, a place in a config file
	FieldFlag        = "flag"     // of the command line
	FieldFork        = "fork"     // workers are forked
	FieldFunction    = "function"
	FieldGID         = "gid" // of a group
	FieldGrace       = "grace_ms"
	FieldHandle      = "handle"     // of a job
	FieldHurry       = "hurry"      // how often a stop was asked for
	FieldInstead     = "instead_of" // the worker that is replaced
	FieldDone        = "jobs_done"
	FieldFailed      = "jobs_failed"
	FieldJobs        = "jobs_in_hand"
	FieldKey         = "key"    // of a config file
	FieldKilled      = "killed" // why a process was killed
	FieldKind        = "kind"   // of workers
	FieldLimit       = "limit_ms"
	FieldLine        = "line"
	FieldLines       = "lines"
	FieldMissed      = "missed" // events
	FieldNextTry     = "next_try_in_ms"
	FieldOOM         = "oom" // memory was short
	FieldOpcache     = "opcache"
	FieldPaused      = "paused" // functions
	FieldPID         = "pid"
	FieldPool        = "pool"
	FieldPools       = "pools"
	FieldProgram     = "program"
	FieldQuarantined = "quarantined" // a job, or how many
	FieldReason      = "reason"
	FieldRemote      = "remote" // address of a peer
	FieldReplacedBy  = "replaced_by"
	FieldRequest     = "request"   // to the control socket
	FieldRSS         = "rss_bytes" // the most memory that a process had
	FieldScaled      = "scaled"    // pools, with their slots
	FieldSection     = "section"   // of a config file
	FieldServer      = "server"    // a job server
	FieldServers     = "servers"   // job servers
	FieldSignal      = "signal"
	FieldSlot        = "slot"
	FieldSlots       = "slots"
	FieldStderr      = "stderr"   // the last lines of a process
	FieldStream      = "stream"   // stdout or stderr
	FieldSuspects    = "suspects" // jobs
	FieldTook        = "took_ms"
	FieldUID         = "uid"    // of a user
	FieldUnique      = "unique" // the client's name for a job
	FieldUptime      = "uptime_ms"
	FieldVersion     = "version"
	FieldWhere       = "where"
	FieldWorker      = "worker" // pool/number
	FieldWorkers     = "workers"
	FieldWorkload    = "workload_bytes"
)
