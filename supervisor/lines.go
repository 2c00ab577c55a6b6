package supervisor

import "bytes"

// lineSplitter divides a stream into lines of a bounded length.
type lineSplitter struct {
	max     int
	emit    func([]byte)
	pending []byte // of the line that has not ended yet
	open    bool   // such a line has begun
	cut     bool   // its end is discarded
}

func (s *lineSplitter) write(data []byte) {
	for len(data) > 0 {
		end := bytes.IndexByte(data, '\n')
		if end < 0 {
			s.keep(data)
			return
		}
		if !s.open && end <= s.max {
			s.emit(trimCR(data[:end])) // the usual case, without a copy
		} else {
			s.keep(data[:end])
			s.flush()
		}
		data = data[end+1:]
	}
}

func (s *lineSplitter) keep(part []byte) {
	s.open = true
	if room := s.max - len(s.pending); len(part) > room {
		part, s.cut = part[:room], true
	}
	s.pending = append(s.pending, part...)
}

// flush ends the line that has begun, if one has.
func (s *lineSplitter) flush() {
	if !s.open {
		return
	}
	if s.cut {
		s.pending = append(s.pending, Truncated...)
	}
	s.emit(trimCR(s.pending))
	s.pending, s.open, s.cut = s.pending[:0], false, false
}

func trimCR(line []byte) []byte { return bytes.TrimSuffix(line, []byte("\r")) }
