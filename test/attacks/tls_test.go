package attacks

import (
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"strata/test/rig"
)

// clientHello is the first flight of a client.
func (s *server) clientHello(t *testing.T) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	go func() { _ = tls.Client(ours, s.tls).Handshake() }()
	hello := make([]byte, 16<<10)
	n, err := theirs.Read(hello)
	if err != nil {
		t.Fatal(err)
	}
	return hello[:n]
}

// Hundreds of connections at a time that begin TLS, or something like it, and don't end it.
func TestHandshakesThatDoNotEndAreGivenUp(t *testing.T) {
	s := start(t)
	hello := s.clientHello(t)
	garbage := make([]byte, 4096)
	_, _ = rand.Read(garbage)
	beginnings := [][]byte{nil, hello[:1], hello[:len(hello)/2], hello, append(hello, hello...), garbage,
		[]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), []byte("\x80\x2e\x01\x00\x02"), []byte("\x16\x03\x01\x40\x00"),
		[]byte("\x15\x03\x03\x00\x02\x02\x28"), []byte("\x14\x03\x03\x00\x01\x01")}
	s.attend(t, 96<<20)
	errors := s.metric(t, "apiserver_tls_handshake_errors_total")
	n := rig.Times("STRATA_HANDSHAKES", 500)
	var open []net.Conn
	for i := 0; i < n; i++ {
		c, err := net.Dial("tcp", s.address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = c.Write(beginnings[i%len(beginnings)])
		open = append(open, c)
	}
	handshaking := `strata_connections{protocol="handshake"}`
	if now := s.metric(t, handshaking); now == 0 {
		t.Error("none is in its handshake")
	}
	s.awaitMetric(t, handshaking, func(now float64) bool { return now <= 2 })
	if now := s.metric(t, "apiserver_tls_handshake_errors_total"); now < errors+float64(n)/2 {
		t.Errorf("%v handshakes of %d are counted as failed", now-errors, n)
	}
	for _, c := range open {
		_ = c.SetReadDeadline(time.Now().Add(rig.Patience))
		if _, err := io.Copy(io.Discard, c); isTimeout(err) {
			t.Fatal("a connection is still open")
		}
	}
}

// Nine bytes that announce a ClientHello of 128 KiB, for which OpenSSL takes as much memory at once.
func TestHellosThatAreSaidToBeLongTakeNoMemory(t *testing.T) {
	s := start(t)
	s.attend(t, 64<<20)
	errors := s.metric(t, "apiserver_tls_handshake_errors_total")
	open := make([]net.Conn, rig.Times("STRATA_HELLOS", 2000))
	for i := range open {
		c, err := net.Dial("tcp", s.address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, "\x16\x03\x01\x00\x04\x01\x01\xff\xb8")
		open[i] = c
	}
	for _, c := range open {
		_ = c.SetReadDeadline(time.Now().Add(rig.Patience))
		if _, err := io.Copy(io.Discard, c); isTimeout(err) {
			t.Fatal("a connection is still open")
		}
	}
	if now := s.metric(t, "apiserver_tls_handshake_errors_total"); now < errors+float64(len(open)) {
		t.Errorf("%v handshakes of %d are counted as failed", now-errors, len(open))
	}
}

// Renegotiation, which TLS 1.2 has, isn't there; what OpenSSL's client asks for is refused, and no request follows.
func TestTLSIsNotNegotiatedAnew(t *testing.T) {
	s := start(t)
	s.attend(t, 32<<20)
	openssl := exec.Command("openssl", "s_client", "-connect", s.address, "-tls1_2", "-servername", "localhost")
	in, err := openssl.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	openssl.Stdout, openssl.Stderr = &out, &out
	if err := openssl.Start(); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(rig.Patience, func() { _ = openssl.Process.Kill() })
	// It takes commands once it is connected, a line that begins with R among them.
	time.Sleep(time.Second)
	fmt.Fprint(in, "R\n")
	time.Sleep(500 * time.Millisecond)
	fmt.Fprint(in, "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	_ = openssl.Wait()
	if text := out.String(); !strings.Contains(text, "RENEGOTIATING") || strings.Contains(text, "HTTP/1.1 200") {
		t.Errorf("%s", text)
	}
}

// However a connection breaks off, with or without TLS's goodbye, nothing of it is left.
func TestConnectionsThatBreakOffLeaveNothing(t *testing.T) {
	s := start(t)
	s.putMany(t, 300, 5000)
	s.awaitMetric(t, "strata_replica_records", func(records float64) bool { return records > 300 })
	s.attend(t, 96<<20)
	request := "GET " + streamsInDemo + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + greedyToken + "\r\n"
	ends := []func(t *testing.T, c *tls.Conn){
		func(_ *testing.T, c *tls.Conn) { c.Close() },
		func(_ *testing.T, c *tls.Conn) { c.NetConn().Close() },
		func(t *testing.T, c *tls.Conn) {
			if err := c.NetConn().(*net.TCPConn).SetLinger(0); err != nil {
				t.Error(err)
			}
			c.NetConn().Close()
		},
		// It can still be answered, and then it is over.
		func(_ *testing.T, c *tls.Conn) { _ = c.CloseWrite(); _, _ = io.Copy(io.Discard, c); c.Close() },
		func(_ *testing.T, c *tls.Conn) {
			_ = c.NetConn().(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		},
		func(_ *testing.T, c *tls.Conn) { _ = c.NetConn().(*net.TCPConn).CloseRead(); c.NetConn().Close() },
	}
	for i := 0; i < 40*len(ends); i++ {
		c := s.dial(t, "http/1.1")
		switch i / len(ends) % 4 {
		case 0: // in the head
			_, _ = io.WriteString(c, request)
		case 1: // in a body
			_, _ = io.WriteString(c, request+"Content-Length: 1000\r\n\r\n{")
		case 2: // before the answer
			_, _ = io.WriteString(c, request+"\r\n")
		case 3: // in the answer
			_, _ = io.WriteString(c, request+"\r\n")
			_, _ = c.Read(make([]byte, 1000))
		}
		ends[i%len(ends)](t, c)
	}
	s.awaitMetric(t, "strata_connections", func(open float64) bool { return open <= 4 })
	s.awaitMetric(t, "apiserver_current_inflight_requests", func(n float64) bool { return n <= 3 })
	s.awaitMetric(t, "strata_list_buffer_bytes", func(held float64) bool { return held == 0 })
	if held := s.metric(t, "strata_http_held_request_bytes"); held > 64<<10 {
		t.Errorf("%v bytes of requests are held", held)
	}
}
