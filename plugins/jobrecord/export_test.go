package jobrecord

// Settled is what Snapshot makes of a number of reads; the last one is repeated.
func Settled(reads []Read) (m [Size]byte, ok bool, count int) {
	m, ok = settled(func(m *[Size]byte) bool {
		r := reads[min(count, len(reads)-1)]
		count++
		*m = r.Content
		return r.Whole
	})
	return m, ok, count
}

// Read is what reading a record once gives.
type Read struct {
	Content [Size]byte
	Whole   bool
}
