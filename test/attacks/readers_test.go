package attacks

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"strata/test/rig"
)

// Lists of some megabytes, and watches that begin with as much, for clients that take nothing of them, or a byte now
// and then. Each costs a piece that was made ahead, and ends when --read-stall-timeout is over.
func TestListsAndWatchesThatAreNotReadAreGivenUp(t *testing.T) {
	s := start(t, "--read-stall-timeout=2s")
	s.putMany(t, rig.Times("STRATA_STREAMS", 1000), 5000)
	s.awaitMetric(t, "strata_replica_records", func(records float64) bool { return records > 1000 })
	_, all := s.get(s.client(), streamsInDemo, greedyToken)
	if len(all) < 5<<20 {
		t.Fatalf("a list of %d bytes shows nothing", len(all))
	}
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
			s.awaitMetric(t, "strata_http_slow_readers_total", func(now float64) bool { return now == before+n })
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

// Who begins a request and doesn't get on, over either protocol, is closed when --read-header-timeout is over.
func TestSlowHeadsAreGivenUp(t *testing.T) {
	s := start(t, "--read-header-timeout=1s", "--idle-timeout=2s")
	head := "GET / HTTP/1.1\r\nHost: localhost\r\n"
	attacks := []struct {
		name     string
		protocol string
		begin    string
		drip     string
		reason   string
	}{
		{"HTTP/1.1, nothing behind a line", "http/1.1", head, "", "header_timeout"},
		{"HTTP/1.1, a header now and then", "http/1.1", head, "X: y\r\n", "header_timeout"},
		{"HTTP/1.1, a byte now and then", "http/1.1", "G", "E", "header_timeout"},
		{"HTTP/1.1, nothing at all", "http/1.1", "", "", "idle"},
		{"HTTP/1.1, empty lines", "http/1.1", "\r\n", "\r\n", "idle"},
		{"HTTP/2, no preface", "h2", "PRI", "", "header_timeout"},
		{"HTTP/2, no end of the headers", "h2", http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00" +
			"\x00\x00\x01\x01\x01\x00\x00\x00\x01\x82", "\x00\x00\x05\x09\x00\x00\x00\x00\x01\x00\x01a\x01b", "header_timeout"},
		{"HTTP/2, no end of a frame", "h2", http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00" +
			"\x00\x40\x00\x01\x05\x00\x00\x00\x01\x82", "", "header_timeout"},
		{"HTTP/2, nothing but pings", "h2", http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00",
			"\x00\x00\x08\x06\x00\x00\x00\x00\x00abcdefgh", "header_timeout"},
	}
	counted := map[string]float64{}
	t.Run("all", func(t *testing.T) {
		for _, attack := range attacks {
			counted[attack.reason]++
			t.Run(attack.name, func(t *testing.T) {
				t.Parallel()
				drip(t, s.dial(t, attack.protocol), attack.begin, attack.drip)
			})
		}
	})
	for reason, times := range counted {
		// The test's own connections are idle, too.
		s.awaitMetric(t, `strata_http_connection_closes_total{reason="`+reason+`"}`,
			func(now float64) bool { return now == times || now > times && reason == "idle" })
	}
}

// drip begins, and sends so little now and then, until the server closes.
func drip(t *testing.T, c net.Conn, begin, drop string) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, c)
		close(ended)
	}()
	_, _ = io.WriteString(c, begin)
	for patience := time.After(rig.Patience); ; {
		select {
		case <-ended:
			return
		case <-time.After(300 * time.Millisecond):
			_, _ = io.WriteString(c, drop)
		case <-patience:
			t.Fatal("it is still open")
		}
	}
}

// An answer comes at a request's head: nobody waits for a body, and what comes of it is dropped.
func TestSlowBodiesHoldNothing(t *testing.T) {
	s := start(t, "--max-requests-inflight=20")
	s.attend(t, 32<<20)
	for i := 0; i < 200; i++ {
		c := s.dial(t, "http/1.1")
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Length: 1000000\r\n\r\n{",
			rig.LayersPath("demo", "app"), greedyToken)
		answer := make([]byte, 64)
		if _, err := io.ReadFull(c, answer); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 403 ") {
			t.Fatalf("%q, %v", answer, err)
		}
	}
	if n := s.metric(t, "apiserver_current_inflight_requests"); n > 3 {
		t.Errorf("%v requests are in flight", n)
	}
	if held := s.metric(t, "strata_http_held_request_bytes"); held > 64<<10 {
		t.Errorf("%v bytes are held", held)
	}
}
