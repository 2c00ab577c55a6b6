package jobserver

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// Version is what the operator's "version" answers: the release of gearmand
// whose behaviour this server has, and whose it is.
const Version = "1.1.20+gearman-manager"

// Replies of the text protocol, in gearmand's wording.
const (
	replyOK         = "OK\r\n"
	replyEnd        = ".\n"
	replyUnknown    = "ERR UNKNOWN_COMMAND Unknown+server+command%s\r\n"
	replyArguments  = "ERR INVALID_ARGUMENTS An+incomplete+set+of+arguments+was+sent+to+this+command+%s\r\n"
	replyShow       = "ERR UNKNOWN_SHOW_ARGUMENTS\r\n"
	replyUnknownJob = "ERR UNKNOWN_JOB\r\n"
	replyInternal   = "ERR UNKNOWN_ERROR\r\n"
	replyNoFunction = "ERR function not found\r\n"
	replyInUse      = "ERR there are still connected workers or executing clients\r\n"
)

// command performs one line of the text protocol for p, with its line end.
func (q *queue) command(p *peer, line []byte) {
	if p.out.text(q.answer(parseLine(line))) {
		q.touched = append(q.touched, p.out)
	}
}

// parseLine splits a line into its words. Spaces separate, but a line that
// begins with one has an empty first word; a word ends at a NUL. There is
// always a first word.
func parseLine(line []byte) []string {
	text := string(bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")))
	if strings.HasPrefix(text, " ") {
		return []string{""}
	}
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' })
	for i, w := range words {
		words[i], _, _ = strings.Cut(w, "\x00")
	}
	if len(words) == 0 {
		return []string{""}
	}
	return words
}

// answer performs the command that the words are and returns the reply.
func (q *queue) answer(words []string) []byte {
	verb, args := strings.ToLower(words[0]), words[1:]
	switch verb {
	case "status":
		return q.listStatus()
	case "prioritystatus":
		return q.listPriorities()
	case "workers":
		return q.listWorkers()
	case "version":
		return []byte("OK " + Version + "\n")
	case "getpid":
		return fmt.Appendf(nil, "OK %d\n", os.Getpid())
	case "verbose":
		return []byte("OK ERROR\n") // gearmand's default; there are no levels here
	case "maxqueue":
		return q.maxQueue(words[0], args)
	case "create":
		return q.createFunction(words[0], args)
	case "drop":
		return q.dropFunction(words[0], args)
	case "show":
		if len(args) > 0 {
			return q.show(args)
		}
	case "cancel":
		if len(args) > 1 {
			return q.cancel(args)
		}
	}
	return fmt.Appendf(nil, replyUnknown, words[0])
}

// listStatus is "status": function, jobs, running ones, workers.
func (q *queue) listStatus() []byte {
	var b []byte
	for _, f := range q.order {
		b = fmt.Appendf(b, "%s\t%d\t%d\t%d\n", f.shown, f.total, f.running, len(f.workers))
	}
	return append(b, replyEnd...)
}

// listPriorities is "prioritystatus": function, queued jobs of each priority,
// workers.
func (q *queue) listPriorities() []byte {
	var b []byte
	for _, f := range q.order {
		b = fmt.Appendf(b, "%s\t%d\t%d\t%d\t%d\n", f.shown, f.queued[high], f.queued[normal], f.queued[low], len(f.workers))
	}
	return append(b, replyEnd...)
}

// listWorkers is "workers": every connection, with what it registered for.
func (q *queue) listWorkers() []byte {
	var b []byte
	for _, p := range q.peers {
		b = fmt.Appendf(b, "%d %s %s :", p.number, p.host, p.id)
		for _, a := range p.abilities {
			b = append(append(b, ' '), a.fn.shown...)
		}
		b = append(b, '\n')
	}
	return append(b, replyEnd...)
}

// maxQueue is "maxqueue FUNCTION [N | HIGH NORMAL LOW]".
func (q *queue) maxQueue(verb string, args []string) []byte {
	if len(args) == 0 {
		return fmt.Appendf(nil, replyArguments, verb)
	}
	var limit [priorities]uint32
	for p := range limit {
		if p+1 < len(args) {
			limit[p] = uint32(min(max(leadingInt([]byte(args[p+1])), 0), 1<<31-1)) //nolint:gosec // bounded
		}
	}
	if len(args) <= 2 {
		limit[normal], limit[low] = limit[high], limit[high]
	}
	if f := q.functions[args[0]]; f != nil {
		f.limit = limit
	}
	return []byte(replyOK)
}

// createFunction is "create function FUNCTION".
func (q *queue) createFunction(verb string, args []string) []byte {
	if len(args) != 2 || !strings.EqualFold(args[0], "function") {
		return fmt.Appendf(nil, replyArguments, verb)
	}
	q.function([]byte(args[1]))
	return []byte(replyOK)
}

// dropFunction is "drop function FUNCTION", which ignores case. A function with
// jobs or workers stays.
func (q *queue) dropFunction(verb string, args []string) []byte {
	if len(args) != 2 || !strings.EqualFold(args[0], "function") {
		return fmt.Appendf(nil, replyArguments, verb)
	}
	reply := replyNoFunction
	for _, f := range append([]*function(nil), q.order...) {
		switch {
		case !strings.EqualFold(f.name, args[1]):
		case f.total > 0 || len(f.workers) > 0:
			reply = replyInUse
		default:
			q.drop(f)
			reply = replyOK
		}
	}
	return []byte(reply)
}

// show is "show jobs" and "show unique jobs".
func (q *queue) show(args []string) []byte {
	switch {
	case len(args) == 1 && strings.EqualFold(args[0], "jobs"):
		return q.showJobs()
	case len(args) == 2 && strings.EqualFold(args[0], "unique") && strings.EqualFold(args[1], "jobs"):
		return q.showUniques()
	}
	return []byte(replyShow)
}

// showJobs lists handle, attempts that failed, whether the job is to be
// ignored, and whether it is a background one.
func (q *queue) showJobs() []byte {
	var b []byte
	for _, j := range q.jobs {
		b = fmt.Appendf(b, "%s\t%d\t%d\t%d\n", j.handle, j.attempts, digit(j.abandoned()), digit(j.background))
	}
	return append(b, replyEnd...)
}

// showUniques lists the unique keys of all jobs, an empty line for each job
// without one.
func (q *queue) showUniques() []byte {
	var b []byte
	for _, j := range q.jobs {
		b = append(append(b, j.unique...), '\n')
	}
	return append(b, replyEnd...)
}

// digit gives 1 for true.
func digit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// cancel is "cancel job HANDLE". The clients are told that the job failed. A
// queued job goes at once; one that runs cannot be stopped: its worker's reports
// are accepted, but go to nobody, and it is not run again.
func (q *queue) cancel(args []string) []byte {
	if len(args) != 2 || !strings.EqualFold(args[0], "job") {
		return []byte(replyInternal)
	}
	j := q.jobs[args[1]]
	switch {
	case j == nil:
		return []byte(replyUnknownJob)
	case j.worker == nil:
		q.fail(j)
	default:
		j.cancelled = true
		q.failClients(j)
	}
	return []byte(replyOK)
}
