package rig

import (
	"net"
	"testing"
)

// Accept calls serve, in a goroutine of its own, with each connection until the end of the test.
func Accept(t *testing.T, listener net.Listener, serve func(net.Conn)) {
	t.Helper()
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(connection)
		}
	}()
}
