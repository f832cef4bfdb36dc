package integration

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"strata/test/rig"
)

func (s *server) dial(t *testing.T, certificates ...tls.Certificate) (*tls.Conn, error) {
	t.Helper()
	return s.dialFor(t, "http/1.1", certificates...)
}

func (s *server) dialFor(t *testing.T, protocol string, certificates ...tls.Certificate) (*tls.Conn, error) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.id.ca)
	connection, err := tls.Dial("tcp", strings.TrimPrefix(s.url, "https://"),
		&tls.Config{RootCAs: roots, Certificates: certificates, NextProtos: []string{protocol}})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { connection.Close() })
	return connection, connection.SetDeadline(time.Now().Add(rig.Patience))
}

// ask sends one request over HTTP/1.1 and returns the status and the body.
func ask(connection *tls.Conn, path string, headers ...string) (int, string, error) {
	request := "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n"
	for _, header := range headers {
		request += header + "\r\n"
	}
	if _, err := io.WriteString(connection, request+"\r\n"); err != nil {
		return 0, "", err
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

func embedded(t *testing.T) string {
	t.Helper()
	dir := t.TempDir() + "/store"
	b := rig.StartBackendIn(t, "strata-storage", dir, rig.FreePort(t))
	rig.Put(t, b.Client(t), rig.StreamKey("demo", "app"), rig.StreamValue(t, "demo", "app"))
	b.Stop(15)
	return dir
}

// Strangers hold every connection there is. Who is known by a certificate has a reserve, and who only sits there makes
// place for others.
func TestTheFrontProxyGetsInWhereStrangersHoldAllConnections(t *testing.T) {
	proxies := rig.NewCA(t, "front-proxies")
	certificate, key := proxies.Client(t, "front-proxy")
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	id := newIdentity(t)
	id.write(t, "proxies.crt", proxies.PEM)
	const limit = 20
	s := startServerAs(t, id, "--data-dir="+embedded(t), "--rbac-file="+id.path("rbac.yaml"),
		fmt.Sprintf("--max-connections=%d", limit), "--reserved-connections=4", "--io-threads=2",
		"--requestheader-client-ca-file="+id.path("proxies.crt"), "--requestheader-allowed-names=front-proxy")
	s.http.CloseIdleConnections()
	inside := 0
	for i := 0; i < 3*limit; i++ {
		stranger, err := s.dial(t)
		if err != nil {
			continue
		}
		if code, _, err := ask(stranger, "/livez"); err == nil && code == 200 {
			inside++
		}
	}
	if inside < limit-4 {
		t.Errorf("only %d strangers of %d got in", inside, limit)
	}
	proxy, err := s.dial(t, pair)
	if err != nil {
		t.Fatalf("the front proxy is refused: %v", err)
	}
	code, body, err := ask(proxy, rig.LayersPath("demo", "app"), "X-Remote-User: somebody", "X-Remote-Group: system:masters")
	if err != nil || code != 200 {
		t.Fatalf("the front proxy: %d %s, %v", code, body, err)
	}
	rig.Eventually(t, "a stranger gets in, for others have been idle", func() error {
		stranger, err := s.dial(t)
		if err != nil {
			return err
		}
		code, _, err := ask(stranger, "/livez")
		if err == nil && code != 200 {
			err = fmt.Errorf("%d", code)
		}
		return err
	})
	if code, _, err := ask(proxy, "/livez"); err != nil || code != 200 {
		t.Errorf("the front proxy was closed for a stranger: %d, %v", code, err)
	}
}

// unread is an HTTP/2 connection that asks for answers and gives no window for any of their bytes.
type unread struct {
	framer *http2.Framer
	stream uint32
}

func (s *server) unread(t *testing.T) *unread {
	t.Helper()
	connection, err := s.dialFor(t, "h2")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(connection, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	u := &unread{framer: http2.NewFramer(connection, connection), stream: 1}
	u.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := u.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}); err != nil {
		t.Fatal(err)
	}
	return u
}

// ask returns the status of the answer, or "reset" if the server ends the stream instead.
func (u *unread) ask(t *testing.T, path, token string) string {
	t.Helper()
	var block strings.Builder
	encoder := hpack.NewEncoder(&block)
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "localhost"},
		{":path", path}, {"authorization", "Bearer " + token}, {"accept", "application/json"}} {
		_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	id := u.stream
	u.stream += 2
	if err := u.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte(block.String()),
		EndStream: true, EndHeaders: true}); err != nil {
		t.Fatal(err)
	}
	for {
		frame, err := u.framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			if frame.StreamID == id {
				return frame.PseudoValue("status")
			}
		case *http2.RSTStreamFrame:
			if frame.StreamID == id {
				return "reset"
			}
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				_ = u.framer.WriteSettingsAck()
			}
		}
	}
}

// Each answer is a copy of its own, for none is kept. Those that nobody reads are bounded together, and who reads gets
// what he asks for.
func TestAnswersThatNobodyReadsAreBounded(t *testing.T) {
	b := rig.StartBackend(t, "strata-storage")
	putLargeStream(t, b, "huge", 1500, 30)
	putLargeStream(t, b, "app", 2, 2)
	const bound = 48 << 20
	s := startShared(t, "--etcd-servers="+b.URL, "--response-cache-bytes=0", fmt.Sprintf("--max-unread-response-bytes=%d", bound))
	_, answer := s.get(rig.LayersPath("demo", "huge"), modestToken)
	if 4*len(answer) > bound || 24*len(answer) < 2*bound {
		t.Fatalf("answers of %d bytes show nothing", len(answer))
	}
	before := s.metric(t, "process_resident_memory_bytes")
	greedy := s.unread(t)
	seen := map[string]int{}
	for i := 0; i < 24; i++ {
		seen[greedy.ask(t, rig.LayersPath("demo", "huge"), greedyToken)]++
		if now := s.metric(t, "strata_http_unread_response_bytes"); now > bound {
			t.Fatalf("%.0f bytes that nobody reads", now)
		}
		if code, body := s.get(rig.LayersPath("demo", "app"), modestToken); code != 200 {
			t.Fatalf("somebody else: %d %s", code, body)
		}
	}
	if seen["200"] == 24 && s.metric(t, "strata_http_unread_response_bytes") == 0 {
		t.Errorf("nothing was held back: %v", seen)
	}
	if grown := s.metric(t, "process_resident_memory_bytes") - before; grown > 3*bound {
		t.Errorf("%.0f MiB more for answers that nobody reads; %v", grown/(1<<20), seen)
	}
	if code, _ := s.get(rig.LayersPath("demo", "huge"), modestToken); code != 200 {
		t.Errorf("a large answer for somebody else: %d", code)
	}
}
