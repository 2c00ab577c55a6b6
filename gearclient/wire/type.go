package wire

import "strconv"

// Type is the number of a packet's type, as sent in its header.
type Type uint32

// The packet types of gearmand 1.1.20. 5 is unused, 0 is reserved.
const (
	CanDo             Type = 1
	CantDo            Type = 2
	ResetAbilities    Type = 3
	PreSleep          Type = 4
	Noop              Type = 6
	SubmitJob         Type = 7
	JobCreated        Type = 8
	GrabJob           Type = 9
	NoJob             Type = 10
	JobAssign         Type = 11
	WorkStatus        Type = 12
	WorkComplete      Type = 13
	WorkFail          Type = 14
	GetStatus         Type = 15
	EchoReq           Type = 16
	EchoRes           Type = 17
	SubmitJobBg       Type = 18
	Error             Type = 19
	StatusRes         Type = 20
	SubmitJobHigh     Type = 21
	SetClientID       Type = 22
	CanDoTimeout      Type = 23
	AllYours          Type = 24
	WorkException     Type = 25
	OptionReq         Type = 26
	OptionRes         Type = 27
	WorkData          Type = 28
	WorkWarning       Type = 29
	GrabJobUniq       Type = 30
	JobAssignUniq     Type = 31
	SubmitJobHighBg   Type = 32
	SubmitJobLow      Type = 33
	SubmitJobLowBg    Type = 34
	SubmitJobSched    Type = 35
	SubmitJobEpoch    Type = 36
	SubmitReduceJob   Type = 37
	SubmitReduceJobBg Type = 38
	GrabJobAll        Type = 39
	JobAssignAll      Type = 40
	GetStatusUnique   Type = 41
	StatusResUnique   Type = 42
	firstUnknown      Type = 43
)

// Limits of the arguments, in bytes, as gearmand 1.1.20 has them
// (libgearman-1.0/limits.h).
const (
	MaxFunction = 512
	MaxHandle   = 64
	MaxUnique   = 64
	MaxOption   = 64
	MaxClientID = 128
	MaxTimeout  = 20
)

// MaxArgs is the largest number of arguments of any packet that is in use.
const MaxArgs = 8

// shape tells how the body of a packet type is laid out.
type shape struct {
	name string
	args []Arg
}

// Arg names one argument of a packet and its limit.
type Arg struct {
	// Name of the argument, such as "handle".
	Name string
	// Max is the largest size in bytes; 0 means no limit of its own (a
	// workload or result, which the Reader's cap bounds).
	Max int
}

// Args lists the arguments of a packet of type t in their order, the last one
// being the one that may hold NULs. It is nil for types without arguments and
// for unknown types.
func (t Type) Args() []Arg {
	if t >= firstUnknown {
		return nil
	}
	return shapes[t].args
}

// Known reports whether t is a type that gearmand 1.1.20 knows.
func (t Type) Known() bool {
	return t < firstUnknown && shapes[t].name != ""
}

// String gives the name that the protocol's text uses, such as "GRAB_JOB".
func (t Type) String() string {
	if !t.Known() {
		return "type " + strconv.FormatUint(uint64(t), 10)
	}
	return shapes[t].name
}

var (
	argFunction = Arg{"function", MaxFunction} //nolint:gochecknoglobals // constant, used by the table below
	argHandle   = Arg{"handle", MaxHandle}     //nolint:gochecknoglobals // as above
	argUnique   = Arg{"unique", MaxUnique}     //nolint:gochecknoglobals // as above
	argReducer  = Arg{"reducer", MaxFunction}  //nolint:gochecknoglobals // as above
	// argAggregator is sent with reduce jobs and not handed on by gearmand 1.1.20.
	argAggregator = Arg{"aggregator", MaxFunction} //nolint:gochecknoglobals // as above
	argData       = Arg{"data", 0}                 //nolint:gochecknoglobals // as above
	argNumber     = Arg{"number", 20}              //nolint:gochecknoglobals // as above; 20 digits hold a uint64
)

// shapes is the one table of packet layouts (gearmand 1.1.20,
// libgearman/command.cc and PROTOCOL).
//
//nolint:gochecknoglobals // a constant table
var shapes = [firstUnknown]shape{
	CanDo:             {"CAN_DO", []Arg{argFunction}},
	CantDo:            {"CANT_DO", []Arg{argFunction}},
	ResetAbilities:    {"RESET_ABILITIES", nil},
	PreSleep:          {"PRE_SLEEP", nil},
	Noop:              {"NOOP", nil},
	SubmitJob:         {"SUBMIT_JOB", []Arg{argFunction, argUnique, argData}},
	JobCreated:        {"JOB_CREATED", []Arg{argHandle}},
	GrabJob:           {"GRAB_JOB", nil},
	NoJob:             {"NO_JOB", nil},
	JobAssign:         {"JOB_ASSIGN", []Arg{argHandle, argFunction, argData}},
	WorkStatus:        {"WORK_STATUS", []Arg{argHandle, argNumber, argNumber}},
	WorkComplete:      {"WORK_COMPLETE", []Arg{argHandle, argData}},
	WorkFail:          {"WORK_FAIL", []Arg{argHandle}},
	GetStatus:         {"GET_STATUS", []Arg{argHandle}},
	EchoReq:           {"ECHO_REQ", []Arg{argData}},
	EchoRes:           {"ECHO_RES", []Arg{argData}},
	SubmitJobBg:       {"SUBMIT_JOB_BG", []Arg{argFunction, argUnique, argData}},
	Error:             {"ERROR", []Arg{{"code", 64}, {"text", 0}}},
	StatusRes:         {"STATUS_RES", []Arg{argHandle, argNumber, argNumber, argNumber, argNumber}},
	SubmitJobHigh:     {"SUBMIT_JOB_HIGH", []Arg{argFunction, argUnique, argData}},
	SetClientID:       {"SET_CLIENT_ID", []Arg{{"client id", MaxClientID}}},
	CanDoTimeout:      {"CAN_DO_TIMEOUT", []Arg{argFunction, {"timeout", MaxTimeout}}},
	AllYours:          {"ALL_YOURS", nil},
	WorkException:     {"WORK_EXCEPTION", []Arg{argHandle, argData}},
	OptionReq:         {"OPTION_REQ", []Arg{{"option", MaxOption}}},
	OptionRes:         {"OPTION_RES", []Arg{{"option", MaxOption}}},
	WorkData:          {"WORK_DATA", []Arg{argHandle, argData}},
	WorkWarning:       {"WORK_WARNING", []Arg{argHandle, argData}},
	GrabJobUniq:       {"GRAB_JOB_UNIQ", nil},
	JobAssignUniq:     {"JOB_ASSIGN_UNIQ", []Arg{argHandle, argFunction, argUnique, argData}},
	SubmitJobHighBg:   {"SUBMIT_JOB_HIGH_BG", []Arg{argFunction, argUnique, argData}},
	SubmitJobLow:      {"SUBMIT_JOB_LOW", []Arg{argFunction, argUnique, argData}},
	SubmitJobLowBg:    {"SUBMIT_JOB_LOW_BG", []Arg{argFunction, argUnique, argData}},
	SubmitJobSched:    {"SUBMIT_JOB_SCHED", []Arg{argFunction, argUnique, {"minute", 2}, {"hour", 2}, {"day of month", 2}, {"month", 2}, {"day of week", 1}, argData}},
	SubmitJobEpoch:    {"SUBMIT_JOB_EPOCH", []Arg{argFunction, argUnique, {"epoch", 20}, argData}},
	SubmitReduceJob:   {"SUBMIT_REDUCE_JOB", []Arg{argFunction, argUnique, argReducer, argAggregator, argData}},
	SubmitReduceJobBg: {"SUBMIT_REDUCE_JOB_BACKGROUND", []Arg{argFunction, argUnique, argReducer, argAggregator, argData}},
	GrabJobAll:        {"GRAB_JOB_ALL", nil},
	JobAssignAll:      {"JOB_ASSIGN_ALL", []Arg{argHandle, argFunction, argUnique, argReducer, argData}},
	GetStatusUnique:   {"GET_STATUS_UNIQUE", []Arg{argUnique}},
	StatusResUnique:   {"STATUS_RES_UNIQUE", []Arg{argUnique, argNumber, argNumber, argNumber, argNumber, argNumber}},
}
