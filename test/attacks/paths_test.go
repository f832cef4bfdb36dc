package attacks

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"strata/test/rig"
)

const (
	group         = "/apis/image.openshift.io/v1"
	streamsInDemo = group + "/namespaces/demo/imagestreams"
)

// talk sends bytes over a connection of its own and returns the answers, each to one of `methods`, until the server
// closes or is silent for a moment.
func (s *server) talk(t *testing.T, bytes string, methods ...string) (answers []*http.Response, bodies []string, closed bool) {
	t.Helper()
	connection := s.dial(t, "http/1.1")
	// What comes behind an error needn't be taken.
	_, _ = io.WriteString(connection, bytes)
	reader := bufio.NewReader(connection)
	for {
		method := "GET"
		if len(answers) < len(methods) {
			method = methods[len(answers)]
		}
		if err := connection.SetReadDeadline(time.Now().Add(answerPatience(len(answers), len(methods)))); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(reader, &http.Request{Method: method})
		if err != nil {
			return answers, bodies, !isTimeout(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		answers, bodies = append(answers, response), append(bodies, string(body))
		if response.Close {
			_, err = reader.ReadByte()
			return answers, bodies, err == io.EOF
		}
	}
}

// Answers that must come are waited for; that no other comes is believed soon.
func answerPatience(got, wanted int) time.Duration {
	if got < wanted {
		return rig.Patience
	}
	return 200 * time.Millisecond
}

func isTimeout(err error) bool {
	timeout, ok := err.(interface{ Timeout() bool })
	return ok && timeout.Timeout()
}

// pathsTo are ways to name a resource of the namespace `other` that are not the way.
func pathsTo() []string {
	const target = "namespaces/other/imagestreams/secret/layers"
	var paths []string
	for _, by := range []string{"/", "%2f", "%2F", "%252f", "\\", "%5c", ";/", "/./", "//", "/%2e/", "%c0%af", "%e2%88%95", "%00/"} {
		paths = append(paths, group+"/"+strings.ReplaceAll(target, "/", by))
		paths = append(paths, group+"/namespaces/demo/imagestreams/app"+by+".."+by+".."+by+".."+by+target)
		paths = append(paths, group+"/namespaces/demo"+by+".."+by+"other/imagestreams/secret/layers")
		paths = append(paths, group+"/namespaces/demo"+by+"%2e%2e"+by+"other/imagestreams/secret/layers")
	}
	for _, path := range []string{
		"/namespaces/demo;/../other/imagestreams/secret/layers", "/namespaces/demo/../other/imagestreams/secret/layers",
		"/namespaces/demo%00/../other/imagestreams/secret/layers", "/namespaces/other%00demo/imagestreams/secret/layers",
		"/namespaces/demo%2f..%2fother/imagestreams/secret/layers", "/namespaces/demo/imagestreams/..%2f..%2fother%2fimagestreams%2fsecret/layers",
		"/namespaces/demo/imagestreams/app/layers/../../../../other/imagestreams/secret/layers",
		"/namespaces/demo/imagestreams/app/layers?x=/../../../../other/imagestreams/secret/layers",
		"/namespaces/demo/imagestreams/app/layers#/../../../../other/imagestreams/secret/layers",
		"/namespaces/other/imagestreams/secret/layers;jsessionid=1", "/namespaces/other/imagestreams/secret/layers/",
		"/namespaces/OTHER/imagestreams/secret/layers", "/namespaces/other /imagestreams/secret/layers",
		"/namespaces/%6fther/imagestreams/secret/layers", "/namespaces/other/imagestreams/%73ecret/layers",
		"/namespaces//other/imagestreams/secret/layers", "/namespaces/./other/imagestreams/secret/layers",
		"/namespaces/demo/imagestreams/secret/layers?namespace=other", "/namespaces/demo/namespaces/other/imagestreams/secret/layers",
		"/watch/namespaces/other/imagestreams/secret", "/proxy/namespaces/other/imagestreams/secret/layers",
		"/imagestreams?fieldSelector=metadata.namespace=other", "/namespaces/demo/imagestreams?fieldSelector=metadata.namespace=other",
		"/namespaces/demo/imagestreams?continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIuLi9vdGhlci9zZWNyZXQifQ",
		"/images/" + rig.Digest(9), "/namespaces/demo/imagestreamtags/..%2f..%2fother%2fimagestreamtags%2fsecret:latest",
		"/namespaces/demo/imagestreamimages/secret@" + rig.Digest(9), "/../v1/namespaces/other/imagestreams/secret/layers",
	} {
		paths = append(paths, group+path)
	}
	for _, path := range []string{"//", "/./", "/x/..", "/%2e/", "/%2e%2e/", "/livez/..", "/livez/%2e%2e", "/openapi/../"} {
		paths = append(paths, strings.TrimSuffix(path, "/")+group+"/"+target)
	}
	return paths
}

// Whatever is asked, in whatever spelling: who may read demo alone sees nothing of other, and no answer sends a client
// elsewhere or takes its connection for something else.
func TestNoPathLeadsPastAuthorization(t *testing.T) {
	s := start(t)
	_, secret := s.get(s.admin, rig.LayersPath("other", "secret"), adminToken)
	rig.Contains(t, secret, rig.Digest(9), rig.Digest(1009))
	s.attend(t, 32<<20)
	judge := func(t *testing.T, path string, code int, body, location string) {
		t.Helper()
		if strings.Contains(body, rig.Digest(1009)) || strings.Contains(body, rig.Digest(9)) && code == 200 {
			t.Errorf("%q shows another's: %d %s", path, code, body)
		}
		if code/100 == 3 || code < 200 || code == 500 || location != "" {
			t.Errorf("%q: %d, Location %q", path, code, location)
		}
	}
	c := s.connect(t)
	c.listen()
	for _, path := range pathsTo() {
		for _, target := range []string{path, "https://localhost" + path, "http://127.0.0.1/.." + path, "HTTPS://x@y:1" + path} {
			answers, bodies, _ := s.talk(t, "GET "+target+" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+greedyToken+
				"\r\nConnection: close\r\n\r\n", "GET")
			if len(answers) != 1 {
				t.Fatalf("%q: %d answers", target, len(answers))
			}
			judge(t, target, answers[0].StatusCode, bodies[0], answers[0].Header.Get("Location"))
		}
	}
	// Over HTTP/2 a path may be anything.
	for _, path := range append(pathsTo(), "*", "", "https://localhost"+group, "namespaces/other") {
		id := c.ask(path, greedyToken)
		if !c.flush() {
			t.Fatalf("%q ends the connection: %s", path, c.awaitEnd())
		}
		switch status := c.statusOf(id); {
		case status == "reset PROTOCOL_ERROR" && (!strings.HasPrefix(path, "/") || strings.Contains(path, " ")):
		case status == "200" && strings.HasPrefix(path, group+"/namespaces/demo/imagestreams"):
		case status < "400" || status > "499":
			t.Errorf("%q over HTTP/2: %s", path, status)
		}
	}
}

// Bodies whose chunks a parser in front of us may end elsewhere.
var badChunks = []struct{ name, body string }{
	{"a chunk size that overflows", "10000000000000000\r\n"},
	{"a chunk size with a sign", "+1\r\na\r\n0\r\n\r\n"},
	{"a chunk size with 0x", "0x1\r\na\r\n0\r\n\r\n"},
	{"a chunk without its end", "1\r\nab0\r\n\r\n"},
	{"a line feed alone in a chunk", "1\na\r\n0\r\n\r\n"},
	{"a line feed alone in a chunk's extension", "1;a\nb\r\na\r\n0\r\n\r\n"},
	{"endless chunk extensions", "1;" + strings.Repeat("x", 70<<10)},
}

func layersHead(path string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + greedyToken + "\r\n"
}

// A request that nobody may answer.
func smuggled(path string) string {
	return "GET " + path + "/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
}

// A request that is none, or that two parsers may end at different places, is the last of its connection: nothing
// behind it is answered.
func TestNothingIsReadBehindARequestOfTwoMeanings(t *testing.T) {
	s := start(t)
	s.attend(t, 32<<20)
	path := rig.LayersPath("demo", "app")
	head := layersHead(path)
	type attack struct {
		name  string
		bytes string
		code  int
	}
	attacks := []attack{
		{"a length and chunks", head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"chunks and a length", head + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400},
		{"two lengths", head + "Content-Length: 0\r\nContent-Length: 5\r\n\r\n", 400},
		{"the same length twice", head + "Content-Length: 0\r\nContent-Length: 0\r\n\r\n", 400},
		{"a list of lengths", head + "Content-Length: 0, 0\r\n\r\n", 400},
		{"a signed length", head + "Content-Length: +0\r\n\r\n", 400},
		{"a negative length", head + "Content-Length: -1\r\n\r\n", 400},
		{"a length in hexadecimal", head + "Content-Length: 0x5\r\n\r\n", 400},
		{"a length that overflows", head + "Content-Length: 18446744073709551616\r\n\r\n", 400},
		{"a length with a space in it", head + "Content-Length: 1 0\r\n\r\n", 400},
		{"chunks twice", head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"chunks and identity", head + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400},
		{"identity and chunks", head + "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n", 400},
		{"gzip and chunks", head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400},
		{"a coding like chunked", head + "Transfer-Encoding: xchunked\r\n\r\n", 400},
		{"chunked with a parameter", head + "Transfer-Encoding: chunked;q=1\r\n\r\n", 400},
		{"chunked in quotes", head + "Transfer-Encoding: \"chunked\"\r\n\r\n", 400},
		{"chunked behind a vertical tab", head + "Transfer-Encoding: \x0bchunked\r\n\r\n", 400},
		{"a name that ends with a space", head + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
		{"a name that ends with a tab", head + "Content-Length\t: 5\r\n\r\n", 400},
		{"a folded header", head + "X: y\r\n Transfer-Encoding: chunked\r\n\r\n", 400},
		{"a header without a colon", head + "Transfer-Encoding\r\n\r\n", 400},
		{"a header without a name", head + ": chunked\r\n\r\n", 400},
		{"a carriage return alone", head + "X: y\rTransfer-Encoding: chunked\r\n\r\n", 400},
		{"a line feed alone", head + "X: y\nTransfer-Encoding: chunked\r\n\r\n", 400},
		{"NUL in a value", head + "X: a\x00b\r\n\r\n", 400},
		{"NUL in a name", head + "X\x00: b\r\n\r\n", 400},
		{"no host", "GET " + path + " HTTP/1.1\r\n\r\n", 400},
		{"two hosts", head + "Host: other\r\n\r\n", 400},
		{"a host with a path", "GET " + path + " HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
		{"HTTP/1.0 with chunks", "POST " + path + " HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"HTTP/0.9", "GET " + path + "\r\n\r\n", 400},
		{"another version", "GET " + path + " HTTP/2.0\r\nHost: localhost\r\n\r\n", 505},
		{"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
		{"h2c", "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", 403},
		{"a websocket", "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", 403},
		{"SPDY", "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n", 403},
		{"CONNECT", "CONNECT 127.0.0.1:2379 HTTP/1.1\r\nHost: localhost\r\n\r\n", 405},
		{"an expectation", head + "Expect: 200-ok\r\n\r\n", 417},
		{"many headers", head + strings.Repeat("A: b\r\n", 3000) + "\r\n", 431},
		{"a large header", head + "A: " + strings.Repeat("b", 70<<10) + "\r\n\r\n", 431},
		{"a long path", "GET /" + strings.Repeat("a", 70<<10) + " HTTP/1.1\r\nHost: localhost\r\n\r\n", 431},
		{"a line without end", "GET /" + strings.Repeat("a", 128<<10), 431},
	}
	for _, bad := range badChunks {
		attacks = append(attacks, attack{bad.name, head + "Transfer-Encoding: chunked\r\n\r\n" + bad.body, 400})
	}
	for _, attack := range attacks {
		t.Run(attack.name, func(t *testing.T) {
			answers, bodies, closed := s.talk(t, attack.bytes+smuggled(path), strings.Fields(attack.bytes)[0])
			if len(answers) == 0 || answers[0].StatusCode != attack.code {
				t.Fatalf("%v", describe(answers, bodies))
			}
			if len(answers) > 1 || !closed {
				t.Errorf("it goes on: closed %v, %v", closed, describe(answers, bodies))
			}
		})
	}
}

// No answer waits for a body that nobody reads (as Go's server), so it may be out before the body is known for bad.
func TestNothingIsReadBehindABodyThatTurnsOutBadAfterItsAnswer(t *testing.T) {
	s := start(t)
	s.attend(t, 32<<20)
	path := rig.LayersPath("demo", "app")
	for _, bad := range badChunks {
		t.Run(bad.name, func(t *testing.T) {
			connection := s.dial(t, "http/1.1")
			if _, err := io.WriteString(connection, layersHead(path)+"Transfer-Encoding: chunked\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			reader := bufio.NewReader(connection)
			response, err := http.ReadResponse(reader, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != 200 {
				t.Fatalf("%d, %v", response.StatusCode, err)
			}
			// What comes behind an error needn't be taken.
			_, _ = io.WriteString(connection, bad.body+smuggled(path))
			if rest, err := io.ReadAll(reader); len(rest) > 0 || isTimeout(err) {
				t.Errorf("it goes on: %.80q, %v", rest, err)
			}
		})
	}
}

func describe(answers []*http.Response, bodies []string) string {
	text := fmt.Sprintf("%d answers:", len(answers))
	for i, answer := range answers {
		text += fmt.Sprintf(" %d %.80q", answer.StatusCode, bodies[i])
	}
	return text
}
