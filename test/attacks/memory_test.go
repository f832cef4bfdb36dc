package attacks

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"strata/test/rig"
)

// The server looks ten times a second: what comes between two looks isn't to be more than is left.
const pause = 20 * time.Millisecond

// watchMemory ends with an error if the server takes more than it may, at any time until the end of the test.
func (s *server) watchMemory(t *testing.T, limit int64) {
	t.Helper()
	s.awaitMetric(t, "strata_memory_limit_bytes", func(said float64) bool { return said == float64(limit) })
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Add(1)
	most := int64(0)
	go func() {
		defer done.Done()
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
			most = max(most, s.Anonymous())
		}
	}()
	t.Cleanup(func() {
		close(stop)
		done.Wait()
		t.Logf("%d MiB at most, of %d", most>>20, limit>>20)
		if most > limit {
			t.Errorf("%d MiB, of %d that may be", most>>20, limit>>20)
		}
	})
}

func (s *server) awaitPressure(t *testing.T, want float64) {
	t.Helper()
	s.awaitMetric(t, "strata_memory_pressure", func(pressure float64) bool { return pressure == want })
}

// Bounds that are larger than the memory that there is: those who read nothing fill what there is, and no more.
func TestAnswersThatNobodyReadsEndBelowTheMemoryThatThereIs(t *testing.T) {
	const limit, streams = 256 << 20, 700
	s := start(t, fmt.Sprint("--memory-limit-bytes=", limit))
	s.putMany(t, streams, 5000)
	s.putImages(t, 56, 40)
	s.awaitMetric(t, "strata_replica_records", func(records float64) bool { return records > streams+50 })
	s.attend(t, 1<<40) // watchMemory says how much it may be
	s.watchMemory(t, limit)
	const atATime = 4
	var clients []*h2
	for i := range streams / atATime {
		time.Sleep(pause)
		c := s.connect(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		c.listen()
		for answer := range atATime {
			c.ask(rig.LayersPath("demo", many(i*atATime+answer)), greedyToken, "accept", "application/yaml")
		}
		c.flush()
		c.hears("each is answered or refused", func() bool { return len(c.status) == atATime })
		clients = append(clients, c)
	}
	s.awaitPressure(t, 1)
	for _, c := range clients {
		c.connection.Close()
	}
	s.awaitPressure(t, 0)
}

// Many more connections than there is memory for, none of which asks for anything.
func TestIdleConnectionsEndBelowTheMemoryThatThereIs(t *testing.T) {
	const limit = 64 << 20 // the server begins with some twenty
	s := start(t, fmt.Sprint("--memory-limit-bytes=", limit), "--max-connections=4000")
	s.attend(t, 1<<40)
	s.watchMemory(t, limit)
	config := s.tls.Clone()
	config.NextProtos = []string{"h2"}
	connections := make([]net.Conn, 3000)
	times(len(connections), func(i int) {
		time.Sleep(pause)
		connection, err := tls.Dial("tcp", s.address, config)
		if err != nil {
			t.Error(err)
			return
		}
		connections[i] = connection
		// Its session is made. Whether it is closed meanwhile doesn't matter.
		_, _ = io.WriteString(connection, http2.ClientPreface+"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	})
	s.awaitMetric(t, `strata_connections_rejected_total{reason="idle"}`, func(closed float64) bool { return closed > 0 })
	for _, connection := range connections {
		if connection != nil {
			connection.Close()
		}
	}
	s.awaitPressure(t, 0)
}
