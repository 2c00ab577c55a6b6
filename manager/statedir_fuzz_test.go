package manager

import (
	"bytes"
	"testing"
)

// FuzzDecodeSuspects: whatever is in the file, it is refused or means the same when
// it is written again.
func FuzzDecodeSuspects(f *testing.F) {
	l := newLedger(10)
	l.charge(aCharge("H:a:1"))
	l.charge(aCharge("H:a:1"))
	l.charge(aCharge("\x00é"))
	seed, err := encodeSuspects(l.all())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"version": 1, "suspects": null}`))
	f.Add([]byte(`{"version": 1, "suspects": [{"server": "s", "handle": "\ud800", "hash": "ffffffffffffffff", "function": "f", "first": "2026-01-02T03:04:05+23:59", "last": "9999-12-31T23:59:59Z"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := decodeSuspects(data)
		if err != nil {
			return
		}
		one, err := encodeSuspects(list)
		if err != nil {
			t.Fatalf("it was read and cannot be written: %v", err)
		}
		again, err := decodeSuspects(one)
		if err != nil {
			t.Fatalf("it was written and cannot be read: %v", err)
		}
		if two, err := encodeSuspects(again); err != nil || !bytes.Equal(one, two) {
			t.Fatalf("%v\n%s\n%s", err, one, two)
		}
		other := newLedger(10)
		other.restore(list)
		other.all()
	})
}
