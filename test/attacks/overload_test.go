package attacks

import (
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"strata/test/rig"
)

// The etcd is frozen, so every read waits, until all places are taken. What tells whether the server runs and what it
// serves is answered, who keeps the cluster running gets in, and the others are asked to come again; nothing is lost of
// those who wait.
func TestUnderOverloadTheRightOnesAreTurnedAway(t *testing.T) {
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
	const places = 20
	s := start(t, "--max-requests-inflight=20", "--freshness-read-timeout=60s", "--requestheader-client-ca-file="+ca,
		"--requestheader-allowed-names=front-proxy", "--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group")
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
