package plugins

// Marker stands in the data of every program that links this package. The
// manager recognises a plugin by it without running the program.
const Marker = "gearman-manager.plugin.v1\x00marker"

// ContractVersion is the version of the contract between manager and worker
// (plugins/workerpb) that this package speaks. A manager and a plugin of
// different versions do not work together, and say so.
const ContractVersion = 1

// The handshake by which go-plugin knows that a program is ours. It keeps
// users from starting a plugin by mistake; it is no secret.
const (
	CookieKey   = "GEARMAN_MANAGER_PLUGIN"
	CookieValue = "worker"
	// PluginName is the one name under which a plugin serves its contract.
	PluginName = "worker"
)

// WorkerEnv is the environment variable that names the worker, "pool/number".
const WorkerEnv = "GEARMAN_WORKER"
