package integration

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"strata/test/rig"
)

// A kube-apiserver that misbehaves: how it answers reviews, and lists of secrets, is the test's to say.
type hostileKube struct {
	*httptest.Server
	answer  atomic.Pointer[http.HandlerFunc]
	reviews atomic.Int32
}

func newHostileKube(t *testing.T, id *identity) *hostileKube {
	t.Helper()
	k := &hostileKube{}
	k.Server = serveAs(t, id, func(w http.ResponseWriter, r *http.Request) {
		review := strings.Contains(r.URL.Path, "reviews")
		if !review && !strings.HasSuffix(r.URL.Path, "/secrets") {
			http.NotFound(w, r)
			return
		}
		if review {
			k.reviews.Add(1)
		}
		(*k.answer.Load())(w, r)
	})
	id.kubeconfigFor(t, k.URL, "t")
	return k
}

// serveAs is a server of the test's own, with the identity's certificate.
func serveAs(t *testing.T, id *identity, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(id.path("serving.crt"), id.path("serving.key"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	server.StartTLS()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server
}

// An etcd with one stream, and a kube-apiserver that may answer by `silence`, which lasts until the test ends.
func besideHostileKube(t *testing.T) (b *rig.Backend, id *identity, kube *hostileKube, silence http.HandlerFunc) {
	t.Helper()
	b = rig.StartBackend(t, "etcd-3.6")
	rig.Put(t, b.Client(t), rig.StreamKey("demo", "app"), rig.StreamValue(t, "demo", "app"))
	id = newIdentity(t)
	kube = newHostileKube(t, id)
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	return b, id, kube, func(http.ResponseWriter, *http.Request) { <-never }
}

// Whatever kube-apiserver says to a review, or doesn't: who is asked about gets no further, in bounded time, and those
// who need no review are served meanwhile.
func TestAHostileKubeApiserverHurtsNobodyElse(t *testing.T) {
	b, id, kube, silence := besideHostileKube(t)
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
		"nothing": silence,
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

// Who wants an answer within some seconds gets one, also while kube-apiserver thinks: about a token, and about a right.
func TestAReviewThatTakesLongerThanTheRequestMayIsNotWaitedFor(t *testing.T) {
	b, id, kube, silence := besideHostileKube(t)
	kube.answer.Store(&silence)
	s := startServerAs(t, id, "--etcd-servers="+b.URL, "--kubeconfig="+id.path("kubeconfig"),
		"--authentication-skip-lookup", "--authorization-mode=Webhook")
	for _, token := range []string{"unknown", pullerToken} {
		code, body := s.get(rig.LayersPath("demo", "app")+"?timeout=4s", token)
		if code != 504 || !strings.Contains(body, "request did not complete within the allotted timeout") {
			t.Errorf("token %s: %d %s", token, code, body)
		}
	}
	if kube.reviews.Load() < 2 {
		t.Errorf("%d reviews", kube.reviews.Load())
	}
	if code, body := s.get(rig.LayersPath("demo", "app"), adminToken); code != 200 {
		t.Errorf("somebody else: %d %s", code, body)
	}
}

func segment(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// Forged tokens of service accounts, against a running server that knows kube-apiserver's public key.
func TestForgedServiceAccountTokensAreRefused(t *testing.T) {
	b := rig.StartBackend(t, "etcd-3.6")
	rig.Put(t, b.Client(t), rig.StreamKey("demo", "app"), rig.StreamValue(t, "demo", "app"))
	id := newIdentity(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	id.write(t, "sa.pub", public)
	id.write(t, "rbac.yaml", []byte(`{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: p, namespace: demo},
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'system:image-puller'},
subjects: [{kind: ServiceAccount, name: sa, namespace: demo}]}`))
	s := startServerAs(t, id, "--etcd-servers="+b.URL, "--service-account-key-file="+id.path("sa.pub"),
		"--service-account-issuer=https://issuer", "--api-audiences=strata", "--rbac-file="+id.path("rbac.yaml"))

	claims := func(audience string, from, until time.Duration) string {
		now := time.Now()
		return fmt.Sprintf(`{"iss":"https://issuer","aud":["%s"],"nbf":%d,"exp":%d,"sub":"system:serviceaccount:demo:sa",
"kubernetes.io":{"namespace":"demo","serviceaccount":{"name":"sa","uid":"u"}}}`,
			audience, now.Add(from).Unix(), now.Add(until).Unix())
	}
	good := claims("strata", -time.Hour, time.Hour)
	sign := func(by *ecdsa.PrivateKey, header, claims string) string {
		head := segment(header) + "." + segment(claims)
		hash := sha256.Sum256([]byte(head))
		r, z, err := ecdsa.Sign(rand.Reader, by, hash[:])
		if err != nil {
			t.Fatal(err)
		}
		signature := append(r.FillBytes(make([]byte, 32)), z.FillBytes(make([]byte, 32))...)
		return head + "." + segment(string(signature))
	}
	hmacOf := func(header string) string {
		head := segment(header) + "." + segment(good)
		mac := hmac.New(sha256.New, public)
		mac.Write([]byte(head))
		return head + "." + segment(string(mac.Sum(nil)))
	}
	const es256 = `{"alg":"ES256"}`
	genuine := sign(key, es256, good)
	parts := strings.Split(genuine, ".")
	for name, one := range map[string]struct {
		token string
		want  int
	}{
		"genuine":                      {genuine, 200},
		"expired":                      {sign(key, es256, claims("strata", -time.Hour, -time.Minute)), 401},
		"not valid yet":                {sign(key, es256, claims("strata", time.Minute, time.Hour)), 401},
		"for another audience":         {sign(key, es256, claims("vault", -time.Hour, time.Hour)), 401},
		"signed by another key":        {sign(stranger, es256, good), 401},
		"of no algorithm":              {segment(`{"alg":"none"}`) + "." + segment(good) + ".", 401},
		"of no algorithm, signed":      {sign(key, `{"alg":"none"}`, good), 401},
		"the public key as a secret":   {hmacOf(`{"alg":"HS256"}`), 401},
		"another kind of key":          {sign(key, `{"alg":"RS256"}`, good), 401},
		"a key of its own in the head": {sign(stranger, `{"alg":"ES256","jwk":{"kty":"EC"},"jku":"https://evil"}`, good), 401},
		"no signature":                 {parts[0] + "." + parts[1] + ".", 401},
		"other claims":                 {parts[0] + "." + segment(claims("strata", -time.Hour, 2*time.Hour)) + "." + parts[2], 401},
		"other issuer":                 {sign(key, es256, strings.Replace(good, "https://issuer", "https://evil", 1)), 401},
	} {
		if code, body := s.get(rig.LayersPath("demo", "app"), one.token); code != one.want {
			t.Errorf("%s: want %d, got %d %s", name, one.want, code, body)
		}
	}
}

// After SIGTERM the server says that it isn't ready, and serves on until balancers have noticed.
func TestAfterSigtermItServesOnForTheDelayAndEndsWithZero(t *testing.T) {
	b := rig.StartBackend(t, "etcd-3.6")
	rig.Put(t, b.Client(t), rig.StreamKey("demo", "app"), rig.StreamValue(t, "demo", "app"))
	s := startServer(t, "--etcd-servers="+b.URL, "--shutdown-delay-duration=10s")
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

// Tokens that nobody issued come from one address, more than may be asked about at a time, and what judges them is slow:
// whoever comes from another one is let in meanwhile.
func TestTokensByTheThousandFromOneAddressLockNobodyElseOut(t *testing.T) {
	b, id, kube, _ := besideHostileKube(t)
	released := make(chan struct{})
	tell := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if bytes.Contains(body, []byte("forged-")) {
			<-released
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		judgeOfReviews(w, r)
	})
	kube.answer.Store(&tell)
	const most = 40
	s := startServerAs(t, id, "--etcd-servers="+b.URL, "--kubeconfig="+id.path("kubeconfig"),
		"--authentication-skip-lookup", "--authorization-mode=Webhook", fmt.Sprint("--kube-api-max-in-flight=", most))
	flood := *s
	transport := s.http.Transport.(*http.Transport).Clone()
	transport.DialContext = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext
	flood.http = &http.Client{Transport: transport, Timeout: rig.Patience}
	var flooding sync.WaitGroup
	for i := range 2 * most {
		flooding.Add(1)
		go func() {
			defer flooding.Done()
			if code, body := flood.get(rig.LayersPath("demo", "app"), fmt.Sprint("forged-", i)); code == 200 {
				t.Errorf("it got %s", body)
			}
		}()
	}
	defer flooding.Wait()
	defer close(released)
	rig.Eventually(t, "there are as many as may be of one", func() error {
		if asked := kube.reviews.Load(); asked < 3*most/4 {
			return fmt.Errorf("%d reviews", asked)
		}
		return nil
	})
	for i := range 10 {
		if code, body := s.get(rig.LayersPath("demo", "app"), fmt.Sprint("good-", i)); code != 200 {
			t.Errorf("%d %s", code, body)
		}
	}
}
