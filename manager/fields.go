package manager

import "github.com/gearman-manager/gearman-manager/internal/logging"

// Keys of the fields in log lines: those that the whole program has, and those of
// the fleet.
const (
	keyAttempts = logging.FieldAttempts
	keyDetail   = logging.FieldDetail
	keyDir      = logging.FieldDir
	keyFile     = logging.FieldFile
	keyFunction = logging.FieldFunction
	keyHandle   = logging.FieldHandle
	keyHurry    = logging.FieldHurry
	keyKey      = logging.FieldKey
	keyLine     = logging.FieldLine
	keyPools    = logging.FieldPools
	keySection  = logging.FieldSection
	keyServers  = logging.FieldServers
	keySignal   = logging.FieldSignal
	keySlots    = logging.FieldSlots
	keyTook     = logging.FieldTook
	keyVersion  = logging.FieldVersion
	keyWorkers  = logging.FieldWorkers

	keyAddress  = "server" // a job server
	keyAfter    = "after"
	keyCause    = "cause"
	keyDone     = "jobs_done"
	keyExit     = "exit" // how a process ended, in words
	keyExitCode = "exit_code"
	keyFailed   = "jobs_failed"
	keyFailures = "failures" // starts that failed in a row
	keyGrace    = "grace"
	keyJobs     = "jobs_in_hand"
	keyKilled   = "killed" // why
	keyKind     = "kind"
	keyPID      = "pid"
	keyPool     = "pool"
	keyProgram  = "program"
	keyReason   = "reason"
	keySlot     = "slot"
	keyStderr   = "stderr" // its last lines
	keyStream   = "stream" // stdout or stderr
	keyUptime   = "uptime"
	keyWait     = "next_try_in"
	keyWhere    = "where"
	keyWorker   = "worker"
)
