package php

import (
	"bytes"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/gearman-manager/gearman-manager/internal/quote"
	"github.com/gearman-manager/gearman-manager/plugins/workerpb"
)

// introduction is the first line of a process.
type introduction struct {
	Parent *greeting `json:"parent"`
	ID     string    `json:"id"`
	PID    int       `json:"pid"`
}

// greeting is how a parent introduces itself.
type greeting struct {
	ID      string `json:"id"`
	PHP     string `json:"php"`
	Pcntl   bool   `json:"pcntl"`
	Opcache bool   `json:"opcache"`
	Gearman bool   `json:"gearman"`
	SAPI    string `json:"sapi"`
	PID     int    `json:"pid"`
}

// forkOrder asks a parent for a process.
type forkOrder struct {
	ID     string `json:"id"`
	Title  string `json:"title"`
	Stdout string `json:"stdout"`
	Stderr string `json:"stderr"`
}

// inspection has a process load files and say what it finds.
type inspection struct {
	Files []source `json:"files"`
	// Warm has what is compiled kept by opcache, for all processes of the generation;
	// otherwise the files are read from the disk, and nothing of them is kept.
	Warm bool `json:"warm"`
}

// source is one worker file; the fields are those of workerpb.Source, and the
// function that it performs.
type source struct {
	Function string `json:"function"`
	File     string `json:"file"`
	Symbol   string `json:"symbol"`
	Pear     bool   `json:"pear"`
}

// reply is what a parent says after its greeting.
type reply struct {
	Forked       *string `json:"forked"`
	PID          int     `json:"pid"` // of what was forked
	NotForked    *string `json:"not_forked"`
	Error        string  `json:"error"`
	Preloaded    *bool   `json:"preloaded"`
	NotPreloaded *string `json:"not_preloaded"`
}

// message is what a worker or an inspector says after its introduction. One of the
// fields is set.
type message struct {
	Event     json.RawMessage `json:"event"`
	Refused   *string         `json:"refused"`
	Pong      *uint64         `json:"pong"`
	Inspected *inspected      `json:"inspected"`
}

// inspected says what was found in a file. Without an error it is good.
type inspected struct {
	Function string `json:"function"`
	File     string `json:"file"`
	Error    string `json:"error"`
	In       string `json:"in"`
	Line     int    `json:"line"`
}

// decode reads a line, whose content may be anything. The error is a *ProtocolError.
func decode[T any](line []byte) (*T, error) {
	into := new(T)
	if err := json.Unmarshal(line, into); err != nil {
		return nil, &ProtocolError{Line: quote.Line(string(line)), Reason: fmt.Sprintf("a line is not understood (%v)", err)}
	}
	return into, nil
}

// decodeMessage reads what a worker says: one thing in each line.
func decodeMessage(line []byte) (*message, error) {
	msg, err := decode[message](line)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(msg.Event, []byte("null")) {
		msg.Event = nil
	}
	if msg.Event == nil && msg.Refused == nil && msg.Pong == nil && msg.Inspected == nil {
		return nil, &ProtocolError{Line: quote.Line(string(line)), Reason: "a line says nothing that is known"}
	}
	return msg, nil
}

// event reads the event of a message that has one.
func (m *message) event() (*workerpb.Event, error) {
	ev := &workerpb.Event{}
	if err := protojson.Unmarshal(m.Event, ev); err != nil {
		return nil, &ProtocolError{Line: quote.Line(string(m.Event)), Reason: fmt.Sprintf("an event is not understood (%v)", err)}
	}
	if ev.GetEvent() == nil {
		return nil, &ProtocolError{Line: quote.Line(string(m.Event)), Reason: "an event says nothing"}
	}
	return ev, nil
}

// encode makes a line of a Go value.
func encode(key string, value any) ([]byte, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", key, err)
	}
	return object(key, text), nil
}

// encodeProto makes a line of a message of the contract.
func encodeProto(key string, value proto.Message) ([]byte, error) {
	text, err := protojson.MarshalOptions{UseProtoNames: true, UseEnumNumbers: true}.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", key, err)
	}
	return object(key, text), nil
}

// object is a line of one key.
func object(key string, value []byte) []byte {
	text := make([]byte, 0, len(key)+len(value)+len("{\"\":}\n"))
	text = append(text, `{"`...)
	text = append(text, key...)
	text = append(text, `":`...)
	text = append(text, value...)
	return append(text, "}\n"...)
}
