package manager

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// suspectsName is the file of suspect jobs in the state directory.
const suspectsName = "suspects.json"

// suspectsVersion is the version of its format. A file of another one is not read.
const suspectsVersion = 1

// suspectsFile is that file.
type suspectsFile struct {
	Version  int            `json:"version"`
	Suspects []suspectEntry `json:"suspects"`
}

// suspectEntry is a job in it. Bytes that are not UTF-8 are lost, and with them the
// job's identity; job servers give out handles of ASCII.
type suspectEntry struct {
	Server      string    `json:"server"`
	Handle      string    `json:"handle"`
	Hash        string    `json:"hash"` // hexadecimal: numbers of JSON have 53 bits
	Function    string    `json:"function"`
	Unique      string    `json:"unique,omitempty"`
	Attempts    uint32    `json:"attempts"`
	Quarantined bool      `json:"quarantined"`
	Cause       string    `json:"cause"`
	Worker      string    `json:"worker,omitempty"`
	First       time.Time `json:"first"`
	Last        time.Time `json:"last"`
}

func encodeSuspects(list []suspect) ([]byte, error) {
	out := suspectsFile{Version: suspectsVersion, Suspects: []suspectEntry{}}
	for _, s := range list {
		first, last := s.first.UTC().Round(0), s.last.UTC().Round(0)
		if first.After(last) { // the clock was set back
			first = last
		}
		out.Suspects = append(out.Suspects, suspectEntry{
			Server: s.key.server, Handle: s.key.handle, Hash: strconv.FormatUint(s.key.hash, 16), Function: s.function,
			Unique: s.unique, Attempts: s.attempts, Quarantined: s.fail, Cause: s.cause, Worker: s.worker,
			First: first, Last: last,
		})
	}
	data, err := json.MarshalIndent(out, "", " ")
	return append(data, '\n'), err
}

// decodeSuspects reads such a file. Anything odd in it is an error: it is not one of
// ours then, or was damaged.
func decodeSuspects(data []byte) ([]suspect, error) {
	var in suspectsFile
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, err
	}
	if in.Version != suspectsVersion {
		return nil, fmt.Errorf("it has version %d, want %d", in.Version, suspectsVersion)
	}
	if len(in.Suspects) > maxSuspects {
		return nil, fmt.Errorf("it has %d suspects, want at most %d", len(in.Suspects), maxSuspects)
	}
	list := make([]suspect, 0, len(in.Suspects))
	for i, e := range in.Suspects {
		s, err := e.suspect()
		if err != nil {
			return nil, fmt.Errorf("suspect %d: %w", i+1, err)
		}
		list = append(list, s)
	}
	return list, nil
}

// maxField is how many bytes a name in the file may have. All of a function go to a
// new worker in one message.
const maxField = 1000

func (e suspectEntry) suspect() (suspect, error) {
	hash, err := strconv.ParseUint(e.Hash, 16, 64)
	if err != nil {
		return suspect{}, fmt.Errorf("read hash: %w", err)
	}
	for _, field := range []string{e.Server, e.Handle, e.Function, e.Unique, e.Worker} {
		if len(field) > maxField {
			return suspect{}, fmt.Errorf("a field is %d bytes long, want at most %d", len(field), maxField)
		}
	}
	switch {
	case len(e.Cause) > 2*maxCause: // it is cut, and then told with the number of attempts
		return suspect{}, fmt.Errorf("its cause is %d bytes long, want at most %d", len(e.Cause), 2*maxCause)
	case e.Server == "" || e.Handle == "" || e.Function == "":
		return suspect{}, errors.New("server, handle or function is empty")
	case e.First.IsZero() || e.Last.Before(e.First):
		return suspect{}, errors.New("its times make no sense")
	}
	return suspect{
		key:      jobKey{server: e.Server, handle: e.Handle, hash: hash},
		function: e.Function, unique: e.Unique, attempts: e.Attempts, fail: e.Quarantined,
		cause: e.Cause, worker: e.Worker, first: e.First, last: e.Last,
	}, nil
}
