package attacks

import (
	"fmt"
	"testing"

	"golang.org/x/net/http2"

	"strata/test/rig"
)

// One unread answer on each connection would keep everybody else out for as long as --read-stall-timeout says.
func TestStrangersWhoTakeNoAnswerGiveWayToOthers(t *testing.T) {
	const limit = 20
	s := start(t, fmt.Sprint("--max-connections=", limit))
	s.admin.CloseIdleConnections()
	for range limit {
		c := s.connect(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		defer c.connection.Close()
		c.listen()
		id := c.ask("/readyz", "")
		c.flush()
		c.await("an answer is there", func() bool { return c.status[id] != "" || c.end != "" })
	}
	for range limit / 2 {
		rig.Eventually(t, "who comes is answered", func() error {
			c := s.connect(t)
			defer c.connection.Close()
			c.listen()
			id := c.ask("/readyz", "")
			c.flush()
			if status := c.statusOf(id); status != "200" {
				return fmt.Errorf("%s", status)
			}
			return nil
		})
	}
}

// Lists of some megabytes, and watches that begin with as much, for clients that take nothing of them, or a byte now
// and then. Each costs a piece that was made ahead, and ends when --read-stall-timeout is over.
func TestListsAndWatchesThatAreNotReadAreGivenUp(t *testing.T) {
	s := start(t, "--read-stall-timeout=2s")
	s.putMany(t, rig.Times("STRATA_STREAMS", 1000), 5000)
	s.awaitMetric(t, "strata_replica_records", func(records float64) bool { return records > 1000 })
	rig.Eventually(t, "a list is so large that it shows something", func() error {
		// Who is slow for a moment isn't given all.
		if _, all := s.get(s.client(), streamsInDemo, greedyToken); len(all) < 5<<20 {
			return fmt.Errorf("%d bytes", len(all))
		}
		return nil
	})
	const protobuf = "application/vnd.kubernetes.protobuf"
	for _, attack := range []struct {
		name   string
		path   string
		accept string
		window uint32
		bytes  int64 // held at most, in MiB
	}{
		{"a list as JSON", streamsInDemo, "application/json", 0, 48},
		{"a list as JSON, a byte at a time", streamsInDemo, "application/json", 1, 48},
		// The head says how large it is: all is made before.
		{"a list as protobuf", streamsInDemo, protobuf, 0, 192},
		{"a list as protobuf, a byte at a time", streamsInDemo, protobuf, 1, 192},
		{"a table", streamsInDemo, "application/json;as=Table;v=v1;g=meta.k8s.io", 1, 48},
		{"a watch", streamsInDemo + "?watch=true", "application/json", 0, 48},
		{"a watch, a byte at a time", streamsInDemo + "?watch=true", protobuf + ";stream=watch", 1, 48},
	} {
		t.Run(attack.name, func(t *testing.T) {
			s.attend(t, attack.bytes<<20)
			before := s.metric(t, "strata_http_slow_readers_total")
			c := s.connect(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: attack.window})
			c.listen()
			const n = 30
			var ids []uint32
			for i := 0; i < n; i++ {
				ids = append(ids, c.ask(attack.path, greedyToken, "accept", attack.accept))
			}
			c.flush()
			c.await("all are given up", func() bool {
				for _, id := range ids {
					if c.status[id] != "reset CANCEL" {
						return false
					}
				}
				return true
			})
			s.awaitMetric(t, "strata_http_slow_readers_total", func(now float64) bool { return now >= before+n })
			s.awaitMetric(t, "strata_list_buffer_bytes", func(held float64) bool { return held == 0 })
			s.awaitMetric(t, "strata_watch_buffer_bytes", func(held float64) bool { return held == 0 })
			if !c.flush() {
				t.Error("the connection has ended")
			}
		})
	}
	t.Run("a list over HTTP/1.1", func(t *testing.T) {
		s.attend(t, 48<<20)
		before := s.metric(t, `strata_connections_rejected_total{reason="write_timeout"}`)
		for i := 0; i < 10; i++ {
			c := s.dial(t, "http/1.1")
			fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", streamsInDemo, greedyToken)
		}
		s.awaitMetric(t, `strata_connections_rejected_total{reason="write_timeout"}`,
			func(now float64) bool { return now >= before+10 })
	})
}
