package logging

// Keys of fields in log lines. Each means one thing wherever it stands.
const (
	FieldAddress  = "address"  // host:port that something listens on
	FieldAttempts = "attempts" // how often a job was tried
	FieldDetail   = "detail"   // what is wrong, for people
	FieldDir      = "dir"
	FieldFile     = "file" // with line, a place in a config file
	FieldFlag     = "flag" // of the command line
	FieldFunction = "function"
	FieldHandle   = "handle" // of a job
	FieldHurry    = "hurry"  // how often a stop was asked for
	FieldKey      = "key"    // of a config file
	FieldLine     = "line"
	FieldPools    = "pools"
	FieldRemote   = "remote"  // address of a peer
	FieldSection  = "section" // of a config file
	FieldServers  = "servers" // job servers
	FieldSignal   = "signal"
	FieldSlots    = "slots"
	FieldTook     = "took" // milliseconds
	FieldVersion  = "version"
	FieldWorkers  = "workers"
)
