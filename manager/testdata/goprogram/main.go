// Command goprogram is a Go program of the same module that is no plugin.
package main

import (
	"io"
	"os"
)

func main() {
	_, _ = io.Copy(os.Stdout, os.Stdin)
}
