package gearclient

import "time"

// Registration is registration, for tests.
func Registration(known, want []string) []byte { return registration(known, want) }

// ReconnectDelay is reconnectDelay, for tests.
func ReconnectDelay(tries int, chance float64) time.Duration { return reconnectDelay(tries, chance) }
