package main

import (
	"bytes"
	"slices"
	"strconv"
	"time"
)

// payloadSize is the size of every workload in bytes.
const payloadSize = 32

// job is what a contender performs, and how its answer is verified.
type job struct {
	function string
	// workload is the one of the job with this number.
	workload func(seq uint64) []byte
	// right tells whether result is the answer to the job with this number.
	right func(seq uint64, result []byte) bool
}

// reverseJob has the bytes of its workload turned round.
func reverseJob() job {
	return job{
		function: "reverse",
		workload: digits,
		right: func(seq uint64, result []byte) bool {
			want := digits(seq)
			slices.Reverse(want)
			return bytes.Equal(result, want)
		},
	}
}

// lingerJob is reverseJob with a worker that waits for 2 ms before it answers.
func lingerJob() job {
	j := reverseJob()
	j.function = "linger"
	return j
}

// editionJob is answered with the edition of the code, here the first, at once.
func editionJob() job {
	return editionJobIn(0, func(edition string) bool { return edition == editions()[0] })
}

// editionJobIn is editionJob that takes so long, and whose answers right judges.
func editionJobIn(length time.Duration, right func(edition string) bool) job {
	workload := strconv.FormatInt(length.Milliseconds(), 10)
	return job{
		function: "edition",
		workload: func(uint64) []byte { return []byte(workload) },
		right:    func(_ uint64, result []byte) bool { return right(string(result)) },
	}
}

// digits is the job's number in 32 bytes, so that no two workloads are alike.
func digits(seq uint64) []byte {
	payload := bytes.Repeat([]byte{'.'}, payloadSize)
	number := strconv.AppendUint(nil, seq, 10)
	copy(payload[payloadSize-len(number):], number)
	return payload
}

// countJob has its lines counted, as wc -l does.
func countJob() job {
	return job{
		function: "wc",
		workload: func(seq uint64) []byte {
			payload := digits(seq)
			for i := range lines(seq) {
				payload[i] = '\n'
			}
			return payload
		},
		right: func(seq uint64, result []byte) bool {
			return string(bytes.TrimSpace(result)) == strconv.Itoa(lines(seq))
		},
	}
}

// lines is the number of lines in the workload with this number: 1 to 7, which
// leaves the digits alone.
func lines(seq uint64) int { return int(seq%7) + 1 }
