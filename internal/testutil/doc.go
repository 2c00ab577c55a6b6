// Package testutil is what tests of several packages need: real job servers,
// waiting, and knowing what runs.
package testutil
