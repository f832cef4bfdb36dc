package attacks

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"strata/test/rig"
)

// The etcd is frozen, so every read waits, until all places are taken. What tells whether the server runs and what it
// serves is answered, who keeps the cluster running gets in, and the others are asked to come again; nothing is lost of
// those who wait.
func TestUnderOverloadTheRightOnesAreTurnedAway(t *testing.T) {
	const places = 20
	s, pair := startBehindProxy(t, "--max-requests-inflight=20", "--freshness-read-timeout=60s")
	path := rig.LayersPath("demo", "app")
	// Discovery waits for no etcd and takes no place.
	s.attendTo(t, group, 32<<20)
	s.backend.Signal(syscall.SIGSTOP)
	defer s.backend.Signal(syscall.SIGCONT)

	// One user has three quarters of the places, and the next one still finds some.
	ask := func(c *h2, token string, requests, served int) (waiting []uint32) {
		t.Helper()
		for i := 0; i < requests; i++ {
			waiting = append(waiting, c.ask(path, token))
		}
		c.flush()
		c.await("the rest is turned away", func() bool { return len(c.status) == requests-served })
		c.mu.Lock()
		defer c.mu.Unlock()
		left := waiting[:0]
		for _, id := range waiting {
			if c.status[id] == "" {
				left = append(left, id)
			} else if c.status[id] != "429" {
				t.Errorf("one too many: %s", c.status[id])
			}
		}
		return left
	}
	greedy, modest := s.connect(t), s.connect(t)
	greedy.listen()
	modest.listen()
	greedyWaits := ask(greedy, greedyToken, 2*places, places*3/4)
	modestWaits := ask(modest, modestToken, places, 4)
	if after := s.refused(t, path, greedyToken).Header.Get("Retry-After"); after != "1" {
		t.Errorf("Retry-After: %q", after)
	}

	for _, probe := range []string{"/livez", "/readyz"} {
		if code, body := s.get(s.client(), probe, ""); code != 200 && code != 500 {
			t.Errorf("%s: %d %s", probe, code, body)
		}
	}
	for _, discovery := range []string{"/apis", "/apis/image.openshift.io", group} {
		if code, body := s.get(s.client(), discovery, greedyToken); code != 200 && !(discovery == "/apis" && code == 404) {
			t.Errorf("%s: %d %s", discovery, code, body)
		}
	}
	admin := s.connect(t)
	admin.listen()
	adminWaits := admin.ask(path, adminToken)
	admin.flush()
	aggregator := s.proxy(pair)
	if code := askAs(t, aggregator, s.url+group, "system:kube-aggregator", "system:masters"); code != 200 {
		t.Errorf("discovery for the aggregator: %d", code)
	}
	s.awaitMetric(t, `apiserver_current_inflight_requests`, func(n float64) bool { return n >= places })

	s.backend.Signal(syscall.SIGCONT)
	if status := admin.statusOf(adminWaits); status != "200" {
		t.Errorf("the administrator: %s", status)
	}
	for _, id := range greedyWaits {
		if status := greedy.statusOf(id); status != "200" {
			t.Errorf("who waited: %s", status)
		}
	}
	for _, id := range modestWaits {
		if status := modest.statusOf(id); status != "200" {
			t.Errorf("who waited: %s", status)
		}
	}
}

// Strangers begin heads and don't end them, until all that connections together may hold is held. Probes, discovery and
// the front proxy are answered all the same.
func TestStrangersHeadsTakeNoRoomFromProbesAndTheFrontProxy(t *testing.T) {
	s, pair := startBehindProxy(t, "--max-held-request-bytes=1048576")
	begin := func(bytes int) {
		fmt.Fprintf(s.dial(t, "http/1.1"), "GET / HTTP/1.1\r\nHost: localhost\r\nA: %s", strings.Repeat("a", bytes))
	}
	const refused = "strata_http_requests_without_room_total"
	// What isn't room for much more is none for a little more at last.
	for _, bytes := range []int{60_000, 4_200} {
		for before := s.metric(t, refused); s.metric(t, refused) == before; {
			begin(bytes)
		}
	}
	for i := 0; i < 80; i++ {
		begin(100)
	}
	s.awaitMetric(t, "strata_http_held_request_bytes", func(held float64) bool { return held > 1<<20 })
	old := &http.Client{Timeout: rig.Patience, Transport: &http.Transport{TLSClientConfig: s.tls.Clone()}}
	for name, client := range map[string]*http.Client{"HTTP/1.1": old, "HTTP/2": s.client()} {
		if code, body := s.get(client, "/livez", ""); code != 200 {
			t.Errorf("/livez over %s: %d %s", name, code, body)
		}
		if code, body := s.get(client, group, modestToken); code != 200 {
			t.Errorf("discovery over %s: %d %s", name, code, body)
		}
	}
	// Of the proxy not just the first bytes.
	if code := askAs(t, s.proxy(pair), s.url+group, strings.Repeat("u", 8_000), "system:authenticated"); code != 200 {
		t.Errorf("the front proxy: %d", code)
	}
}

// startBehindProxy starts a server, and returns the certificate of its front proxy.
func startBehindProxy(t *testing.T, flags ...string) (*server, tls.Certificate) {
	t.Helper()
	proxies := rig.NewCA(t, "front-proxies")
	certificate, key := proxies.Client(t, "front-proxy")
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "proxies.crt")
	if err := os.WriteFile(ca, proxies.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	return start(t, append([]string{"--requestheader-client-ca-file=" + ca, "--requestheader-allowed-names=front-proxy",
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group"}, flags...)...), pair
}

// proxy is a client with a certificate of the proxies' CA.
func (s *server) proxy(pair tls.Certificate) *http.Client {
	config := s.tls.Clone()
	config.Certificates = []tls.Certificate{pair}
	return &http.Client{Timeout: rig.Patience, Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}}
}

// askAs is the status of an answer to somebody whom a proxy names.
func askAs(t *testing.T, client *http.Client, url, user, group string) int {
	t.Helper()
	request, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Remote-User", user)
	request.Header.Set("X-Remote-Group", group)
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}
