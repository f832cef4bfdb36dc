package store

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"strata/test/rig"
)

// Strangers take as many connections as they get, where clients connect and where metrics are, and say next to nothing
// on them. They have an address of their own, as another pod has.
func TestStrangersConnectionsLeaveTheStoreToOthers(t *testing.T) {
	address, monitoring := fmt.Sprintf("127.0.0.1:%d", rig.FreePort(t)), fmt.Sprintf("127.0.0.1:%d", rig.FreePort(t))
	p := rig.Start(t, "bash", "-c", `ulimit -n 200; exec "$0" "$@"`, rig.Strata(t, "strata-storage"), "serve",
		"--data-dir="+filepath.Join(t.TempDir(), "data"), "--listen-client-urls=http://"+address, "--listen-metrics-urls=http://"+monitoring)
	b := &rig.Backend{Process: p, URL: "http://" + address}
	c := b.Client(t)
	stranger := net.Dialer{Timeout: rig.Patience, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	for _, beginning := range []struct{ address, said string }{
		{address, ""}, {address, "P"}, {address, "PRI"}, {address, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
		{address, "GET /health HTTP/1.1\r\nX: "}, {monitoring, "GET /health HTTP/1.1\r\nX: "},
	} {
		for range 150 {
			conn, err := stranger.Dial("tcp", beginning.address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = conn.Write([]byte(beginning.said))
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
	defer cancel()
	if _, err := c.Put(ctx, "a", "1"); err != nil {
		t.Errorf("who was there before: %v", err)
	}
	if _, err := b.Client(t).Put(ctx, "a", "2"); err != nil {
		t.Errorf("who comes: %v", err)
	}
	probe := http.Client{Timeout: rig.Patience, Transport: &http.Transport{DisableKeepAlives: true}}
	for _, place := range []string{address, monitoring} {
		response, err := probe.Get("http://" + place + "/health")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		rig.Contains(t, string(body), `"health":"true"`)
	}
}
