package manager

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
)

// hashOf returns one hash over several texts, in hexadecimal digits. The texts hold no zero byte.
func hashOf(texts []string) string {
	sum := sha256.New()
	for _, text := range texts {
		_, _ = io.WriteString(sum, text+"\x00") // a hash takes all
	}
	return hex.EncodeToString(sum.Sum(nil))
}
