package rig

import (
	"os"
	"syscall"
	"testing"
	"time"
)

// FullPipe is the end to write to of a pipe that has no room and that nobody reads, as a shell's pipe is when who reads
// has stopped.
func FullPipe(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	for size := 4096; size > 0; size /= 2 {
		w.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		for err = nil; err == nil; {
			_, err = w.Write(make([]byte, size))
		}
	}
	if err := syscall.SetNonblock(int(w.Fd()), false); err != nil {
		t.Fatal(err)
	}
	return w
}
