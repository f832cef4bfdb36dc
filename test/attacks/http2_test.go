package attacks

import (
	"bytes"
	"crypto/tls"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"strata/test/rig"
)

// An h2 is a client's end of HTTP/2 that sends what it likes: frames are gathered, and go out by flush.
type h2 struct {
	t          *testing.T
	connection *tls.Conn
	out        bytes.Buffer
	*http2.Framer
	block   bytes.Buffer
	encoder *hpack.Encoder
	stream  uint32

	mu     sync.Mutex
	end    string            // how the server has ended the connection
	ended  chan struct{}     // closed then
	status map[uint32]string // by stream: a status, or "reset" and the error
	data   map[uint32]int    // bytes
	heard  chan struct{}     // something new is in them
}

// connect opens one with these settings.
func (s *server) connect(t *testing.T, settings ...http2.Setting) *h2 {
	t.Helper()
	c := &h2{t: t, connection: s.dial(t, "h2"), stream: 1, ended: make(chan struct{}),
		status: map[uint32]string{}, data: map[uint32]int{}, heard: make(chan struct{}, 1)}
	c.Framer = http2.NewFramer(&c.out, c.connection)
	c.AllowIllegalWrites = true
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.encoder = hpack.NewEncoder(&c.block)
	c.out.WriteString(http2.ClientPreface)
	_ = c.WriteSettings(settings...)
	c.flush()
	return c
}

// flush sends what was gathered; false once the server has ended the connection.
func (c *h2) flush() bool {
	_, err := c.connection.Write(c.out.Bytes())
	c.out.Reset()
	return err == nil
}

// flood gathers `frame` so often and sends it in large writes, until the server has had enough.
func (c *h2) flood(times int, frame func()) {
	for i := 0; i < times; i++ {
		frame()
		if c.out.Len() > 32<<10 && !c.flush() {
			return
		}
	}
	c.flush()
}

// head is a header block: of a GET, and then these fields.
func (c *h2) head(path, token string, fields ...string) []byte {
	all := append([]string{":method", "GET", ":scheme", "https", ":authority", "localhost", ":path", path}, fields...)
	if token != "" {
		all = append(all, "authorization", "Bearer "+token)
	}
	c.block.Reset()
	for i := 0; i < len(all); i += 2 {
		_ = c.encoder.WriteField(hpack.HeaderField{Name: all[i], Value: all[i+1]})
	}
	return c.block.Bytes()
}

// begin gathers a request whose end is still to come, and returns its stream.
func (c *h2) begin(path, token string, fields ...string) uint32 {
	return c.headers(path, token, false, fields...)
}

// ask gathers a whole request and returns its stream.
func (c *h2) ask(path, token string, fields ...string) uint32 {
	return c.headers(path, token, true, fields...)
}

func (c *h2) headers(path, token string, end bool, fields ...string) uint32 {
	id := c.stream
	c.stream += 2
	_ = c.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.head(path, token, fields...),
		EndHeaders: true, EndStream: end})
	return id
}

// listen reads what comes, in a goroutine of its own, until the connection ends. Windows aren't opened.
func (c *h2) listen() {
	go func() {
		for c.hear() {
		}
		close(c.ended)
	}()
}

func (c *h2) hear() bool {
	frame, err := c.ReadFrame()
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, of_stream := err.(http2.StreamError); of_stream {
		return true
	}
	if err != nil {
		if c.end == "" {
			c.end = "closed"
		}
		return false
	}
	switch frame := frame.(type) {
	case *http2.MetaHeadersFrame:
		c.status[frame.StreamID] = statusIn(frame)
	case *http2.RSTStreamFrame:
		c.status[frame.StreamID] = "reset " + frame.ErrCode.String()
	case *http2.DataFrame:
		c.data[frame.StreamID] += len(frame.Data())
	case *http2.GoAwayFrame:
		if frame.ErrCode != http2.ErrCodeNo || c.end == "" {
			c.end = "GOAWAY " + frame.ErrCode.String()
		}
	}
	select {
	case c.heard <- struct{}{}:
	default:
	}
	return true
}

// statusIn is an answer's status; who is to come again has to be told when.
func statusIn(head *http2.MetaHeadersFrame) string {
	status := head.PseudoValue("status")
	if status != "429" {
		return status
	}
	for _, field := range head.RegularFields() {
		if field.Name == "retry-after" {
			return status
		}
	}
	return status + " without Retry-After"
}

// await waits until what was heard is enough.
func (c *h2) await(what string, enough func() bool) {
	c.t.Helper()
	if !c.hears(what, enough) {
		c.t.Fatalf("%s: the connection has ended before: %s", what, c.end)
	}
}

// hears is false once the connection has ended without enough.
func (c *h2) hears(what string, enough func() bool) bool {
	c.t.Helper()
	patience := time.After(rig.Patience)
	for {
		c.mu.Lock()
		ok := enough()
		c.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-c.heard:
		case <-c.ended:
			c.mu.Lock()
			defer c.mu.Unlock()
			return enough()
		case <-patience:
			c.t.Fatalf("%s: not within %v", what, rig.Patience)
		}
	}
}

// statusOf waits for the answer on a stream: its status, "reset …", or how the connection ended before.
func (c *h2) statusOf(id uint32) string {
	c.t.Helper()
	if !c.hears("an answer", func() bool { return c.status[id] != "" }) {
		return c.end
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status[id]
}

// awaitEnd is how the server ends the connection: "GOAWAY" and the error, or "closed" where that didn't come through.
func (c *h2) awaitEnd() string {
	c.t.Helper()
	select {
	case <-c.ended:
	case <-time.After(rig.Patience):
		c.t.Fatal("the connection is still open")
	}
	return c.end
}

// raw gathers a frame of any kind.
func (c *h2) raw(kind http2.FrameType, flags http2.Flags, stream uint32, payload []byte) {
	_ = c.WriteRawFrame(kind, flags, stream, payload)
}
