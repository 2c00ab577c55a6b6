package plugins

import (
	"strings"

	"github.com/gearman-manager/gearman-manager/gearclient"
	"github.com/gearman-manager/gearman-manager/plugins/jobrecord"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

func busyEvent(slot int) *workerpb.Event {
	return &workerpb.Event{Event: &workerpb.Event_Busy{Busy: &workerpb.Busy{Slot: number(slot)}}}
}

func idleEvent(slot int) *workerpb.Event {
	return &workerpb.Event{Event: &workerpb.Event_Idle{Idle: &workerpb.Idle{Slot: number(slot)}}}
}

// text makes of foreign bytes what the contract can carry: a string that is no
// UTF-8 would end the stream of events, and with it the worker.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func retiringEvent(reason, detail string) *workerpb.Event {
	return &workerpb.Event{Event: &workerpb.Event_Retiring{Retiring: &workerpb.Retiring{Reason: reason, Detail: text(detail)}}}
}

func leftEvent(done, failed uint64) *workerpb.Event {
	c := &workerpb.Counters{Done: done, Failed: failed}
	return &workerpb.Event{Event: &workerpb.Event_Left{Left: &workerpb.Left{Counters: c}}}
}

func restedEvent(slot int) *workerpb.Event {
	return &workerpb.Event{Event: &workerpb.Event_Rested{Rested: &workerpb.Rested{Slot: number(slot)}}}
}

// ready says that a slot is connected to a server, or registered with it too.
func (p *performer) ready(slot int, server string, registered bool) {
	p.events.put(&workerpb.Event{Event: &workerpb.Event_Ready{Ready: &workerpb.Ready{
		Slot: number(slot), Server: p.serverName(server), Registered: registered,
	}}})
}

// lost says that a slot lost a server.
func (p *performer) lost(slot int, server string, err error) {
	p.events.put(&workerpb.Event{Event: &workerpb.Event_Lost{Lost: &workerpb.Lost{
		Slot: number(slot), Server: p.serverName(server), Error: text(err.Error()),
	}}})
}

// undelivered says that a job's answer did not reach its server.
func (p *performer) undelivered(job *gearclient.Job, err error) {
	p.events.put(&workerpb.Event{Event: &workerpb.Event_Undelivered{Undelivered: &workerpb.Undelivered{
		Job: p.jobID(job, p.hash(job)), Function: text(job.Function()), Error: text(err.Error()),
	}}})
}

// jobID is how the manager knows a job.
func (p *performer) jobID(job *gearclient.Job, hash uint64) *workerpb.JobID {
	return &workerpb.JobID{Server: p.serverName(job.Server()), Handle: text(job.Handle()), Hash: hash, Unique: text(job.Unique())}
}

// hash is that of a job that is over, for its slot's goroutine. The hand has it as long
// as no other job came; the handler may have changed the workload since.
func (p *performer) hash(job *gearclient.Job) uint64 {
	if h := p.hands.of(job); h != nil {
		return h.hash
	}
	return jobrecord.Hash(job.Function(), job.Unique(), job.Workload())
}

// serverName is a server's address as the manager wrote it.
func (p *performer) serverName(addr string) string {
	if s := p.assigned.Load().servers[addr]; s != nil {
		return s.GetAddress()
	}
	return addr
}

// number is a slot's number as the contract has it.
func number(slot int) uint32 { return uint32(slot) } //nolint:gosec // not negative, and small
