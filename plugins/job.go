package plugins

import "log/slog"

// Job is one job. Its methods are safe for concurrent use, and for use in
// goroutines that outlive the handler: those that send then return an error.
type Job struct {
	function string
	handle   string
	unique   string
	workload []byte
	command  []string
	most     int64 // bytes of the result
	to       feedback
	log      jobLogger
}

// jobLogger makes a job's logger. Most jobs log nothing, so it is made when it
// is asked for.
type jobLogger interface {
	forJob(function, handle string) *slog.Logger
}

// feedback is where a job's news go: a job server, or the author's terminal.
type feedback interface {
	Status(numerator, denominator uint32) error
	Data(data []byte) error
	Warning(data []byte) error
}

// Function is the name of the function that the client asked for.
func (j *Job) Function() string { return j.function }

// Handle is the job's name on its job server, such as "H:web1:42".
func (j *Job) Handle() string { return j.handle }

// Unique is the client's key for the job; often empty.
func (j *Job) Unique() string { return j.unique }

// Workload is what the client sent; the handler may change it.
func (j *Job) Workload() []byte { return j.workload }

// Command is what the configuration gives as the function's command, split
// into words; nil for functions of the worker's own.
func (j *Job) Command() []string { return j.command }

// MaxResult is how many bytes the result may have. A longer one is answered with
// an exception; a handler that collects its result from elsewhere can stop there.
func (j *Job) MaxResult() int64 { return j.most }

// Logger logs lines that carry the job's function and handle.
func (j *Job) Logger() *slog.Logger { return j.log.forJob(j.function, j.handle) }

// Status tells the waiting clients how far the job is, as a fraction. It
// blocks until the system has taken the message; an error says that the
// connection is broken, or that the job is over.
func (j *Job) Status(numerator, denominator uint32) error {
	return j.to.Status(numerator, denominator)
}

// Data sends the waiting clients a part of the result ahead of the end. What
// the handler returns comes after it. Errors as for Status.
func (j *Job) Data(data []byte) error { return j.to.Data(data) }

// Warning sends the waiting clients a warning. Errors as for Status.
func (j *Job) Warning(data []byte) error { return j.to.Warning(data) }
