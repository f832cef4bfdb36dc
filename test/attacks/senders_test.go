package attacks

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"strata/test/rig"
)

// Who begins a request and doesn't get on, over either protocol, is closed when --read-header-timeout is over.
func TestSlowHeadsAreGivenUp(t *testing.T) {
	n := rig.Times("STRATA_SLOW_HEADS", 1000)
	s := start(t, "--read-header-timeout=3s", "--idle-timeout=6s")
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
			"\x00\x00\x01\x01\x01\x00\x00\x00\x01\x82" + // a value that goes on in a CONTINUATION
			"\x00\x40\x00\x09\x00\x00\x00\x00\x01\x00\x01a\x7f\x00", "b", "header_timeout"},
		{"HTTP/2, no end of a frame", "h2", http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00" +
			"\x00\x40\x00\x01\x05\x00\x00\x00\x01\x82", "", "header_timeout"},
		{"HTTP/2, nothing but pings", "h2", http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00",
			"\x00\x00\x08\x06\x00\x00\x00\x00\x00abcdefgh", "header_timeout"},
	}
	s.attend(t, int64(n)*48<<10+32<<20)
	counted := map[string]float64{}
	var all sync.WaitGroup
	for i := 0; i < n; i++ {
		attack := attacks[i%len(attacks)]
		counted[attack.reason]++
		c := s.dial(t, attack.protocol)
		_, _ = io.WriteString(c, attack.begin)
		all.Add(1)
		go func() {
			defer all.Done()
			if !drip(c, attack.drip) {
				t.Errorf("%s: it is still open", attack.name)
			}
		}()
	}
	t.Logf("%v connections at a time", s.metric(t, "strata_connections"))
	all.Wait()
	for reason, times := range counted {
		// The test's own connections may be idle, too.
		s.awaitMetric(t, `strata_http_connection_closes_total{reason="`+reason+`"}`,
			func(now float64) bool { return now >= times })
	}
}

// drip sends so little now and then until the server closes; false if it doesn't.
func drip(c net.Conn, drop string) bool {
	closed := make(chan bool)
	go func() {
		_, err := io.Copy(io.Discard, c)
		closed <- !isTimeout(err)
	}()
	for {
		select {
		case closed := <-closed:
			return closed
		case <-time.After(300 * time.Millisecond):
			_, _ = io.WriteString(c, drop)
		}
	}
}

// What there is of a field is kept until the field ends: of heads, of trailers, also behind a chunked body.
func TestFieldsThatDoNotEndAreHeldWithinTheirBound(t *testing.T) {
	const bound, each = 4 << 20, 30
	s := start(t, fmt.Sprintf("--max-held-request-bytes=%d", bound))
	s.attend(t, 32<<20)
	// HPACK: a literal, whose name has 60,000 bytes.
	field := append([]byte{0x00, 0xff, 0xe1, 0xd3, 0x03}, make([]byte, 48<<10)...)
	for i := 0; i < each; i++ {
		fmt.Fprintf(s.dial(t, "http/1.1"), "POST /readyz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\na: %s",
			strings.Repeat("a", 48<<10))
		for _, trailers := range []bool{false, true} {
			c := s.connect(t)
			if trailers {
				c.begin("/readyz", "")
			}
			kind := http2.FrameHeaders
			for rest := field; len(rest) > 0; kind = http2.FrameContinuation {
				n := min(len(rest), 16<<10)
				c.raw(kind, 0, 1, rest[:n])
				rest = rest[n:]
			}
			c.flush()
		}
	}
	s.awaitMetric(t, `strata_http_connection_closes_total{reason="header_flood"}`, func(ended float64) bool { return ended >= each/2 })
	// The first bytes of each connection are let in.
	if held := s.metric(t, "strata_http_held_request_bytes"); held < bound/2 || held > bound+3*each*(4<<10) {
		t.Errorf("%v bytes are held", held)
	}
}

// An answer comes at a request's head: nobody waits for a body. What comes of it is dropped, as much as is worth it for
// the next request; how long that may take, a minute, Http1SessionTest shows.
func TestSlowBodiesHoldNothing(t *testing.T) {
	const each = 70
	s := start(t, "--max-requests-inflight=20")
	s.attend(t, 32<<20)
	var all sync.WaitGroup
	for _, attack := range []struct {
		name   string
		begin  string // behind the other headers
		drip   string
		closed bool
	}{
		{"more than is dropped", "Content-Length: 1000000\r\n\r\n{", " ", true},
		{"as much, in chunks", "Transfer-Encoding: chunked\r\n\r\n", "10000\r\n" + strings.Repeat(" ", 64<<10) + "\r\n", true},
		{"a byte now and then", "Content-Length: 1000\r\n\r\n{", " ", false},
		{"a chunk now and then", "Transfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n", false},
	} {
		for i := 0; i < each; i++ {
			c := s.dial(t, "http/1.1")
			fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n%s",
				rig.LayersPath("demo", "app"), greedyToken, attack.begin)
			answer := make([]byte, 64)
			if _, err := io.ReadFull(c, answer); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 403 ") {
				t.Fatalf("%s: %q, %v", attack.name, answer, err)
			}
			if !attack.closed {
				go drip(c, attack.drip) // until the test ends
				continue
			}
			all.Add(1)
			go func() {
				defer all.Done()
				if !drip(c, attack.drip) {
					t.Errorf("%s: it is still open", attack.name)
				}
			}()
		}
	}
	all.Wait()
	s.awaitMetric(t, "strata_connections", func(open float64) bool { return open <= 2*each+8 })
	if n := s.metric(t, "apiserver_current_inflight_requests"); n > 3 {
		t.Errorf("%v requests are in flight", n)
	}
	if held := s.metric(t, "strata_http_held_request_bytes"); held > 64<<10 {
		t.Errorf("%v bytes are held", held)
	}
}

// 16 MiB each over 40 connections, of nobody: none is kept, and the answer comes before the body has.
func TestBodiesOfStrangersAreNotHeld(t *testing.T) {
	s := start(t)
	s.attend(t, 32<<20)
	body := make([]byte, 16<<20)
	var clients sync.WaitGroup
	for i := 0; i < 40; i++ {
		connection := s.dial(t, "http/1.1")
		clients.Add(1)
		go func() {
			defer clients.Done()
			head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n",
				rig.LayersPath("demo", "app"), len(body))
			if _, err := io.WriteString(connection, head); err != nil {
				t.Error(err)
				return
			}
			response, err := http.ReadResponse(bufio.NewReader(connection), nil)
			if err != nil {
				t.Error(err)
				return
			}
			response.Body.Close()
			if response.StatusCode != 403 || !response.Close {
				t.Errorf("%d, closes: %v", response.StatusCode, response.Close)
			}
			// Whatever the server makes of the rest.
			_, _ = connection.Write(body[1:])
		}()
	}
	clients.Wait()
	if held := s.metric(t, "strata_http_held_request_bytes"); held > 64<<10 {
		t.Errorf("%.0f bytes are held", held)
	}
}

// Each gets all its answers, and nobody else waits until it has.
func TestThousandsOfRequestsAtOnceTakeTurnsWithOthers(t *testing.T) {
	const each, streams = 4_000, 900
	s := start(t, "--io-threads=1")
	s.attend(t, 64<<20)
	pipelined := strings.Repeat("GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n", each)
	var clients sync.WaitGroup
	for i := 0; i < 10; i++ {
		connection := s.dial(t, "http/1.1")
		clients.Add(2)
		go func() {
			defer clients.Done()
			_, _ = io.WriteString(connection, pipelined)
		}()
		go func() {
			defer clients.Done()
			answers := bufio.NewReader(connection)
			for n := 0; n < each; n++ {
				response, err := http.ReadResponse(answers, nil)
				if err != nil {
					t.Errorf("after %d answers: %v", n, err)
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				if response.StatusCode != 200 {
					t.Errorf("%d", response.StatusCode)
				}
			}
		}()
	}
	var connections []*h2
	for i := 0; i < 10; i++ {
		c := s.connect(t)
		for n := 0; n < streams; n++ {
			c.ask("/readyz", adminToken) // strangers have to connect anew
		}
		c.listen()
		c.flush()
		connections = append(connections, c)
	}
	for _, c := range connections {
		c.await("all answers", func() bool { return len(c.status) == streams })
		c.mu.Lock()
		for id, status := range c.status {
			if status != "200" {
				t.Errorf("stream %d: %s", id, status)
			}
		}
		c.mu.Unlock()
	}
	clients.Wait()
}
