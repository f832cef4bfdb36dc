package integration

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"strata/test/rig"
)

// An etcd behind TLS that asks for client certificates. Its own files are replaced between two lives of it.
type tlsEtcd struct {
	*rig.Process
	url string
	dir string
}

func (e *tlsEtcd) path(name string) string { return filepath.Join(e.dir, name) }

func (e *tlsEtcd) write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(e.path(name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// show makes it show a certificate of `serving`, and take those of `clients`.
func (e *tlsEtcd) show(t *testing.T, serving, clients *rig.CA) {
	t.Helper()
	certificate, key := serving.Serving(t, "localhost")
	e.write(t, "etcd.crt", certificate)
	e.write(t, "etcd.key", key)
	e.write(t, "clients.crt", clients.PEM)
}

func startTLSEtcd(t *testing.T, serving, clients *rig.CA) *tlsEtcd {
	t.Helper()
	return startTLS(t, serving, clients, rig.Peer(t, "etcd"), "--log-level=error",
		fmt.Sprintf("--listen-peer-urls=http://127.0.0.1:%d", rig.FreePort(t)))
}

// startTLS starts a program that takes etcd's flags for TLS.
func startTLS(t *testing.T, serving, clients *rig.CA, program string, args ...string) *tlsEtcd {
	t.Helper()
	e := &tlsEtcd{dir: t.TempDir(), url: fmt.Sprintf("https://127.0.0.1:%d", rig.FreePort(t))}
	e.show(t, serving, clients)
	e.Process = rig.Start(t, program, append(args, "--data-dir="+e.path("data"), "--listen-client-urls="+e.url,
		"--advertise-client-urls="+e.url, "--cert-file="+e.path("etcd.crt"), "--key-file="+e.path("etcd.key"), "--client-cert-auth",
		"--trusted-ca-file="+e.path("clients.crt"))...)
	return e
}

// put writes the stream that the tests read, with a client of `clients`.
func (e *tlsEtcd) put(t *testing.T, serving, clients *rig.CA) {
	t.Helper()
	certificate, key := clients.Client(t, "writer")
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "etcd takes a write", func() error {
		c, err := clientv3.New(clientv3.Config{Endpoints: []string{e.url},
			TLS: &tls.Config{RootCAs: serving.Pool(), Certificates: []tls.Certificate{pair}}})
		if err != nil {
			return err
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_, err = c.Put(ctx, rig.StreamKey("demo", "web"), rig.StreamValue(t, "demo", "web", rig.Digest(1)))
		return err
	})
}

// replaceMounted writes files as the kubelet does: into a new folder, to which ..data is then turned.
func replaceMounted(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	fresh, err := os.MkdirTemp(dir, "..data-")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(fresh, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
		_ = os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name))
	}
	if err := os.Symlink(filepath.Base(fresh), filepath.Join(dir, "..new")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "..new"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
}

func (s *server) readsStream() error {
	code, body := s.get(rig.LayersPath("demo", "web"), adminToken)
	if code != 200 {
		return fmt.Errorf("%d %s", code, body)
	}
	return nil
}

// Both CAs of an etcd and our pair are replaced under a running server: its next connections use the new ones.
func TestARotationOfEtcdsCertificatesNeedsNoRestart(t *testing.T) {
	oldCA, newCA := rig.NewCA(t, "old"), rig.NewCA(t, "new")
	etcd := startTLSEtcd(t, oldCA, oldCA)
	etcd.put(t, oldCA, oldCA)
	mounted := t.TempDir()
	certificate, key := oldCA.Client(t, "strata")
	replaceMounted(t, mounted, map[string][]byte{"ca.crt": oldCA.PEM, "tls.crt": certificate, "tls.key": key})
	s := startServer(t, "--etcd-servers="+etcd.url, "--etcd-cafile="+filepath.Join(mounted, "ca.crt"),
		"--etcd-certfile="+filepath.Join(mounted, "tls.crt"), "--etcd-keyfile="+filepath.Join(mounted, "tls.key"))
	rig.Eventually(t, "reads before", s.readsStream)

	newCertificate, newKey := newCA.Client(t, "strata")
	// A pair that is half written yet: what was there is used on.
	replaceMounted(t, mounted, map[string][]byte{"ca.crt": oldCA.PEM, "tls.crt": certificate, "tls.key": newKey})
	etcd.Stop(syscall.SIGKILL)
	etcd.Launch()
	rig.Eventually(t, "reads with half of a new pair", s.readsStream)

	replaceMounted(t, mounted, map[string][]byte{
		"ca.crt": append(append([]byte("# both\r\n"), oldCA.PEM...), newCA.PEM...), "tls.crt": newCertificate, "tls.key": newKey})
	etcd.Stop(syscall.SIGKILL)
	etcd.show(t, newCA, newCA)
	etcd.Launch()
	rig.Eventually(t, "reads after", s.readsStream)
	s.awaitReady(t)
	s.Stop(syscall.SIGTERM)
	rig.Contains(t, s.Output(), "is not the key of the certificate", "Took over the new client certificate")
}

// etcd's issuing CA alone is enough, for lists, watches and the read that makes answers current (golang/go#51953).
func TestAnIssuingCAIsAnAnchorForEveryConnection(t *testing.T) {
	issuing := rig.NewCA(t, "root").Issuing(t, "issuing")
	clients := rig.NewCA(t, "clients")
	etcd := startTLSEtcd(t, issuing, clients)
	etcd.put(t, issuing, clients)
	certificate, key := clients.Client(t, "strata")
	etcd.write(t, "strata.crt", certificate)
	etcd.write(t, "strata.key", key)
	etcd.write(t, "issuing.crt", issuing.PEM)
	s := startServer(t, "--etcd-servers="+etcd.url, "--etcd-cafile="+etcd.path("issuing.crt"),
		"--etcd-certfile="+etcd.path("strata.crt"), "--etcd-keyfile="+etcd.path("strata.key"))
	if err := s.readsStream(); err != nil {
		t.Error(err)
	}
}

// Nothing of the environment diverts what goes to etcd, or what is trusted by --etcd-cafile.
func TestTheEnvironmentDoesNotDivertWhatGoesToEtcd(t *testing.T) {
	nowhere := "http://127.0.0.1:9"
	for _, name := range []string{"http_proxy", "https_proxy", "grpc_proxy", "HTTPS_PROXY", "all_proxy"} {
		t.Setenv(name, nowhere)
	}
	t.Setenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "/dev/null")
	t.Setenv("GRPC_DNS_RESOLVER", "none")
	t.Setenv("no_proxy", "")
	b := rig.StartBackend(t, "etcd-3.6")
	rig.Put(t, b.Client(t), rig.StreamKey("demo", "web"), rig.StreamValue(t, "demo", "web"))
	s := startServer(t, "--etcd-servers="+strings.Replace(b.URL, "127.0.0.1", "localhost", 1))
	if err := s.readsStream(); err != nil {
		t.Error(err)
	}
}

// Whatever answers at the first endpoint without being an etcd, or doesn't answer, the second is used.
func TestAnEndpointThatIsNoEtcdIsPassedBy(t *testing.T) {
	b := rig.StartBackend(t, "etcd-3.6")
	rig.Put(t, b.Client(t), rig.StreamKey("demo", "web"), rig.StreamValue(t, "demo", "web"))
	over2 := func(t *testing.T, code int, header, value, body string) string {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(header, value)
			w.WriteHeader(code)
			_, _ = w.Write([]byte(body))
		}))
		var protocols http.Protocols
		protocols.SetHTTP1(true)
		protocols.SetUnencryptedHTTP2(true)
		server.Config.Protocols = &protocols
		server.Start()
		t.Cleanup(server.Close)
		return server.URL
	}
	tcp := func(t *testing.T, serve func(net.Conn)) string {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		rig.Accept(t, listener, serve)
		return "http://" + listener.Addr().String()
	}
	const html, json = "text/html", "application/json"
	for name, start := range map[string]func(t *testing.T) string{
		"200 html": func(t *testing.T) string { return over2(t, 200, "Content-Type", html, "<html>hello</html>") },
		"302":      func(t *testing.T) string { return over2(t, 302, "Location", "/login", "") },
		"401 json": func(t *testing.T) string { return over2(t, 401, "Content-Type", json, `{"kind":"Status"}`) },
		"403 json": func(t *testing.T) string { return over2(t, 403, "Content-Type", json, `{"kind":"Status"}`) },
		"404 html": func(t *testing.T) string { return over2(t, 404, "Content-Type", html, "<html>") },
		"500":      func(t *testing.T) string { return over2(t, 500, "Content-Type", html, "<html>") },
		"503":      func(t *testing.T) string { return over2(t, 503, "Content-Type", html, "<html>") },
		"silent":   func(t *testing.T) string { return tcp(t, func(net.Conn) {}) },
		"closes":   func(t *testing.T) string { return tcp(t, func(c net.Conn) { c.Close() }) },
		"HTTP/1.1": func(t *testing.T) string {
			return tcp(t, func(c net.Conn) {
				_, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"))
				c.Close()
			})
		},
		"SSH": func(t *testing.T) string {
			return tcp(t, func(c net.Conn) { _, _ = c.Write([]byte("SSH-2.0-OpenSSH_9.2\r\n")) })
		},
		"TLS": func(t *testing.T) string {
			server := httptest.NewTLSServer(http.NotFoundHandler())
			t.Cleanup(server.Close)
			return strings.Replace(server.URL, "https", "http", 1)
		},
		"refuses": func(t *testing.T) string { return fmt.Sprintf("http://127.0.0.1:%d", rig.FreePort(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, "--etcd-servers="+start(t)+","+b.URL)
			if err := s.readsStream(); err != nil {
				t.Error(err)
			}
		})
	}
}

// An etcd that has been away for long is used again soon after it has come back, and meanwhile requests are told to
// come back later, within seconds.
func TestAnEtcdThatComesBackIsUsedAtOnce(t *testing.T) {
	rig.ForEachBackend(t, func(t *testing.T, name string) {
		b := rig.StartBackend(t, name)
		c := b.Client(t)
		rig.Put(t, c, rig.StreamKey("demo", "web"), rig.StreamValue(t, "demo", "web"))
		s := startServer(t, "--etcd-servers="+b.URL)
		b.Stop(syscall.SIGKILL)
		rig.Eventually(t, "not ready while etcd is away, though nobody asks", func() error {
			if code, _ := s.get("/readyz", ""); code != 500 {
				return fmt.Errorf("%d", code)
			}
			return nil
		})
		// Long enough for any back-off to have grown.
		time.Sleep(6 * time.Second)
		b.Launch()
		b.Client(t)
		// Thirty times what it takes where nothing else runs.
		rig.EventuallyWithin(t, 10*time.Second, "reads go on", s.readsStream)
		s.Stop(syscall.SIGTERM)
		rig.Contains(t, s.Output(), "The storage backend can be used again")
		if n := strings.Count(s.Output(), "The storage backend can't be used"); n == 0 || n > 8 {
			t.Errorf("%d warnings", n)
		}
	})
}
