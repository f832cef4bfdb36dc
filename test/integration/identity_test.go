package integration

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"strata/test/rig"
)

// A kube-apiserver that misbehaves: how it answers reviews is the test's to say.
type hostileKube struct {
	*httptest.Server
	answer  atomic.Pointer[http.HandlerFunc]
	reviews atomic.Int32
}

func newHostileKube(t *testing.T, id *identity) *hostileKube {
	t.Helper()
	k := &hostileKube{}
	k.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "reviews") {
			http.NotFound(w, r)
			return
		}
		k.reviews.Add(1)
		(*k.answer.Load())(w, r)
	}))
	pair, err := tls.LoadX509KeyPair(id.path("serving.crt"), id.path("serving.key"))
	if err != nil {
		t.Fatal(err)
	}
	k.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	k.StartTLS()
	t.Cleanup(func() {
		k.CloseClientConnections()
		k.Close()
	})
	id.write(t, "ca.crt", id.ca)
	id.write(t, "kubeconfig", []byte(fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: x,
clusters: [{name: c, cluster: {server: "%s", certificate-authority: ca.crt}}], users: [{name: u, user: {token: t}}],
contexts: [{name: x, context: {cluster: c, user: u}}]}`, strings.Replace(k.URL, "127.0.0.1", "localhost", 1))))
	return k
}

// Whatever kube-apiserver says to a review, or doesn't: who is asked about gets no further, in bounded time, and those
// who need no review are served meanwhile.
func TestAHostileKubeApiserverHurtsNobodyElse(t *testing.T) {
	b := rig.StartBackend(t, "etcd-3.6")
	rig.Put(t, b.Client(t), rig.StreamKey("demo", "app"), rig.StreamValue(t, "demo", "app"))
	id := newIdentity(t)
	kube := newHostileKube(t, id)
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	s := startServerAs(t, id, "--etcd-servers="+b.URL, "--kubeconfig="+id.path("kubeconfig"),
		"--authentication-skip-lookup=true", "--authorization-mode=Webhook,RBAC")

	huge := strings.Repeat("x", 1<<20)
	answers := map[string]http.HandlerFunc{
		"garbage": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "\x00\xff{]") },
		"another kind": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"kind":"Secret","apiVersion":"v1","status":{"authenticated":true,"allowed":true}}`)
		},
		"a user without a name": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":{"authenticated":true,"user":{"groups":["system:masters"]}}}`)
		},
		"403": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) },
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.invalid/", http.StatusFound)
		},
		"without end": func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < 100; i++ {
				if _, err := io.WriteString(w, huge); err != nil {
					return
				}
			}
		},
		"nothing": func(http.ResponseWriter, *http.Request) { <-never },
		"a byte now and then": func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i < 600; i++ {
				if _, err := io.WriteString(w, " "); err != nil {
					return
				}
				w.(http.Flusher).Flush()
				time.Sleep(100 * time.Millisecond)
			}
		},
	}
	n := 0
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			n++
			kube.answer.Store(&answer)
			asked := kube.reviews.Load()
			done := make(chan string, 1)
			start := time.Now()
			go func() {
				code, body := s.get(rig.LayersPath("demo", "app"), fmt.Sprintf("unknown-%d", n))
				done <- fmt.Sprint(code, " ", body)
			}()
			for waiting := true; waiting; {
				// A user of the token file, a master, is asked about nowhere.
				if code, body := s.get(rig.LayersPath("demo", "app"), adminToken); code != 200 {
					t.Fatalf("somebody else: %d %s", code, body)
				}
				select {
				case result := <-done:
					waiting = false
					if !strings.HasPrefix(result, "401 ") {
						t.Errorf("got %s", result)
					}
				case <-time.After(20 * time.Millisecond):
				}
			}
			if took := time.Since(start); took > 25*time.Second {
				t.Errorf("it took %v", took)
			}
			if kube.reviews.Load() == asked {
				t.Error("nobody was asked")
			}
		})
	}
}

// After SIGTERM the server says that it isn't ready, and serves on until balancers have noticed.
func TestAfterSigtermItServesOnForTheDelayAndEndsWithZero(t *testing.T) {
	b := rig.StartBackend(t, "etcd-3.6")
	rig.Put(t, b.Client(t), rig.StreamKey("demo", "app"), rig.StreamValue(t, "demo", "app"))
	s := startServer(t, "--etcd-servers="+b.URL, "--shutdown-delay-duration=3s")
	ended := make(chan int)
	go func() { ended <- s.Stop(syscall.SIGTERM) }()
	rig.Eventually(t, "readyz fails", func() error {
		if code, body := s.get("/readyz", ""); code != 500 || !strings.Contains(body, "[-]shutdown failed") {
			return fmt.Errorf("%d %s", code, body)
		}
		return nil
	})
	s.layers(t, "demo", "app")
	if code, _ := s.get("/livez", ""); code != 200 {
		t.Errorf("livez: %d", code)
	}
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d", code)
	}
	if code, _ := s.get("/livez", ""); code != 0 {
		t.Errorf("it still listens: %d", code)
	}
}
