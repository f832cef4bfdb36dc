package attacks

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"strata/test/rig"
)

// times calls do so often, a few at a time.
func times(n int, do func(i int)) {
	var all sync.WaitGroup
	next := make(chan int)
	for w := 0; w < 8; w++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := range next {
				do(i)
			}
		}()
	}
	for i := 0; i < n; i++ {
		next <- i
	}
	close(next)
	all.Wait()
}

// A connection that has asked once and says no more costs its TLS and little else.
func TestManyIdleConnectionsAreHeld(t *testing.T) {
	n := rig.Times("STRATA_CONNECTIONS", 1000)
	s := start(t)
	before, _ := s.Memory()
	s.attend(t, int64(n)*96<<10+32<<20)
	connections := make([]net.Conn, n)
	times(n, func(i int) {
		// TLS without a cache of sessions, and HTTP/1.1 or HTTP/2.
		protocol := []string{"http/1.1", "h2"}[i%2]
		config := s.tls.Clone()
		config.NextProtos = []string{protocol}
		connection, err := tls.Dial("tcp", s.address, config)
		if err != nil {
			t.Error(err)
			return
		}
		connections[i] = connection
		if protocol == "http/1.1" {
			_, err = io.WriteString(connection, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
		} else {
			_, err = io.WriteString(connection, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
		}
		if err == nil {
			_, err = connection.Read(make([]byte, 4096))
		}
		if err != nil {
			t.Error(err)
		}
	})
	s.awaitMetric(t, "strata_connections", func(open float64) bool { return open >= float64(n) })
	now, _ := s.Memory()
	t.Logf("%d connections: %d KiB each", n, (now-before)/int64(n)>>10)
	for _, connection := range connections {
		if connection != nil {
			connection.Close()
		}
	}
	s.awaitMetric(t, "strata_connections", func(open float64) bool { return open < 10 })
}

// Watches of one resource share their events: each costs where it stands, and all are told of a change.
func TestManyWatchesAreToldOfAChange(t *testing.T) {
	n := rig.Times("STRATA_WATCHES", 1000)
	const perConnection = 500
	s := start(t)
	s.attend(t, int64(n)*24<<10+32<<20)
	before, _ := s.Memory()
	var clients []*h2
	for opened := 0; opened < n; opened += perConnection {
		c := s.connect(t)
		c.listen()
		c.raw(http2.FrameWindowUpdate, 0, 0, u32(1<<30)) // for the events of all
		for i := 0; i < min(perConnection, n-opened); i++ {
			c.ask(streamsInDemo+"?watch=true&resourceVersion="+s.revision(t), greedyToken)
		}
		c.flush()
		clients = append(clients, c)
	}
	open := 0
	for _, c := range clients {
		c.await("watches", func() bool { return len(c.status) == min(perConnection, n-open) })
		open += len(c.status)
	}
	now, _ := s.Memory()
	t.Logf("%d watches: %d KiB each", n, (now-before)/int64(n)>>10)
	begun := time.Now()
	s.putStream(t, "demo", "told", 1)
	for _, c := range clients {
		c.await("an event for each", func() bool { return len(c.data) == len(c.status) })
	}
	t.Logf("all were told within %v", time.Since(begun).Round(time.Millisecond))
	for _, c := range clients {
		c.connection.Close()
	}
	s.awaitMetric(t, "strata_watches", func(open float64) bool { return open == 0 })
}
