package simulate

// Marks of what the trace's hash is made of.
const (
	sentMark = iota + 1
	answerMark
	recallMark
)

// offset and prime are those of FNV-1a, by words of 64 bits.
const (
	offset = 14695981039346656037
	prime  = 1099511628211
)

// note takes what happens to a job into the hash.
func (r *run) note(mark int, j *Job, more int64) {
	for _, word := range [...]int64{r.now, int64(mark), j.ID, more} {
		r.hash = (r.hash ^ uint64(word)) * prime //nolint:gosec // bits are what is wanted
	}
}
