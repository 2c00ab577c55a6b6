package main

import (
	"os/exec"
	"strings"
	"testing"
)

func TestWorkloads(t *testing.T) {
	t.Parallel()
	for _, j := range []job{reverseJob(), countJob()} {
		seen := map[string]bool{}
		for _, seq := range []uint64{1, 2, 7, 8, 1 << 40} {
			payload := string(j.workload(seq))
			if len(payload) != payloadSize {
				t.Errorf("%s %d: %d bytes, want %d", j.function, seq, len(payload), payloadSize)
			}
			if seen[payload] {
				t.Errorf("%s %d: the same workload twice", j.function, seq)
			}
			seen[payload] = true
		}
	}
}

func TestReverseIsVerified(t *testing.T) {
	t.Parallel()
	j := reverseJob()
	if !j.right(12, []byte("21..............................")) {
		t.Error("the right answer is called wrong")
	}
	for _, wrong := range []string{"", "12..............................", "31.............................."} {
		if j.right(12, []byte(wrong)) {
			t.Errorf("%q is called right", wrong)
		}
	}
}

// The count is verified against what wc -l itself says.
func TestCountIsVerified(t *testing.T) {
	t.Parallel()
	j := countJob()
	for seq := range uint64(9) {
		cmd := exec.CommandContext(t.Context(), "wc", "-l")
		cmd.Stdin = strings.NewReader(string(j.workload(seq)))
		result, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if !j.right(seq, result) {
			t.Errorf("job %d: wc -l says %q, which is called wrong", seq, result)
		}
		if j.right(seq+1, result) {
			t.Errorf("job %d: the answer is called right for the next one, too", seq)
		}
	}
}
