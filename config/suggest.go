package config

// Nearest returns the candidate that differs from word by the fewest typed letters, or "" when none is near enough to be a slip:
// two letters, or one in words of up to four; two that are swapped count as one.
func Nearest(word string, candidates []string) string {
	limit := 2
	if len(word) <= 4 {
		limit = 1
	}
	nearest, least := "", limit+1
	for _, c := range candidates {
		d := distance(word, c)
		if swapped(word, c) {
			d = 1
		}
		if d < least {
			nearest, least = c, d
		}
	}
	return nearest
}

// swapped reports whether two letters beside each other in a stand the other way round in b, and nothing else differs.
func swapped(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) - 1 {
		if a[i] != b[i] {
			return a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
		}
	}
	return false
}

// didYouMean returns a question for the nearest candidate, or nothing.
func didYouMean(word string, candidates []string) string {
	if nearest := Nearest(word, candidates); nearest != "" {
		return " (did you mean " + nearest + "?)"
	}
	return ""
}

// maxCompared bounds the words that are compared, since the time goes with the product of their lengths.
const maxCompared = 128

// distance returns how many bytes have to be put in, left out or replaced to turn a into b.
func distance(a, b string) int {
	if len(a) > maxCompared || len(b) > maxCompared {
		return maxCompared
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
