package plugins

import "os"

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

// ProgramEnv is the environment variable that names the file which the operator put
// there, where the program runs from a private copy of it; see [Program].
const ProgramEnv = "GEARMAN_PROGRAM"

// Program is the path of the worker's program as the operator knows it. The manager
// starts plugins from private copies, so that a new version can be copied over the
// old one while that runs; os.Executable names the copy, which lies in another
// directory under another name. Whoever looks for files beside the program begins
// here. Started in another way it is what os.Executable says, and empty if that
// fails.
func Program() string {
	if path := os.Getenv(ProgramEnv); path != "" {
		return path
	}
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	return path
}
