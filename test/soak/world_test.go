package soak

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"strata/test/history"
	"strata/test/rig"
)

// A world is what is there while everything fails: an etcd of three members, a writer, and servers.
//
//	direct   over the members; its log is an access log, which is read slowly at times
//	proxied  over the members too, through proxies that do what they like; --cache-dir. Nobody ever ends it
//	kube     over the API that the direct server serves, through a proxy
//	stored   over a strata-storage, in which nothing changes
//	own      over its own embedded store, with the same
type world struct {
	t       *testing.T
	dir     string
	logs    string // where logs and samples go
	cluster *rig.Cluster
	etcd    *clientv3.Client
	proxies []*rig.Proxy // of the members
	api     *rig.Proxy   // of the direct server
	stored  *rig.Backend
	writer  *history.Writer
	noted   acknowledged // by the writer
	servers []*server
	log     *slowSink // the direct server's
	ca      authorities
	token   atomic.Pointer[string]
	long    bool
	begun   time.Time
	faults  faultLog
	judge   judge
	stop    chan struct{}
	working sync.WaitGroup
	say     func(format string, args ...any)
}

// authorities are the CAs of everybody. Serving certificates and client CAs are rotated between two.
type authorities struct {
	etcd             *rig.CA
	serving, clients [2]*rig.CA
}

const (
	objects = 128 // of each kind
	changes = 20  // a second
)

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), logs: os.Getenv("STRATA_SOAK_LOGS"), begun: time.Now(), stop: make(chan struct{}), say: t.Logf}
	if w.logs == "" {
		w.logs = w.dir
	}
	w.ca.etcd = rig.NewCA(t, "etcd")
	for i := range 2 {
		w.ca.serving[i], w.ca.clients[i] = rig.NewCA(t, fmt.Sprint("serving-", i)), rig.NewCA(t, fmt.Sprint("clients-", i))
	}
	w.cluster = rig.StartClusterBehindTLS(t, 3, w.ca.etcd)
	w.etcd = w.cluster.ClientOf(t, w.cluster.URLs(0)...)
	var proxied []string
	for _, m := range w.cluster.Members {
		p := rig.NewProxy(t, m.URL)
		w.proxies, proxied = append(w.proxies, p), append(proxied, p.URL)
	}
	w.writer = history.StartWriter(t, w.etcd, objects)
	w.writeFiles()
	w.log = newSlowSink(t, w.create("direct.log"))
	etcd := []string{"--etcd-cafile=" + w.path("etcd-ca.crt"), "--etcd-certfile=" + w.path("etcd.crt"),
		"--etcd-keyfile=" + w.path("etcd.key")}
	over := slices.Concat(anywhere, ofObjects, ofMany)
	w.start("direct", over, oneStream, append(etcd, "--etcd-servers="+strings.Join(w.cluster.URLs(0), ","), "-v=3")...)
	w.start("proxied", over, oneStream, append(etcd, "--etcd-servers="+strings.Join(proxied, ","), "--cache-dir="+w.path("cache"))...)
	w.api = rig.NewProxy(t, w.server("direct").url)
	w.start("kube", slices.Concat(anywhere, ofObjects, ofManyByKube), someList, "--source=kube",
		"--source-kubeconfig="+w.kubeconfig(), "--source-silence-time=2s", "--source-probe-interval=1s")
	w.server("kube").mayLag = 8 * time.Second
	fixed := slices.Concat(anywhere, overOwn)
	w.stored = w.store("stored")
	w.start("stored", fixed, ownLayers, "--etcd-servers="+w.stored.URL)
	own := w.store("own")
	own.Stop(syscall.SIGTERM)
	w.start("own", fixed, ownLayers, "--data-dir="+own.Dir)
	w.writer.Pace(changes)
	return w
}

// create makes a file that stays when the test has ended, if the environment says where.
func (w *world) create(name string) *os.File {
	w.t.Helper()
	file, err := os.Create(filepath.Join(w.logs, name))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { file.Close() })
	return file
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// write puts a file in another's place at once.
func (w *world) write(name string, content []byte) {
	w.t.Helper()
	fresh := w.path("." + name)
	if err := os.WriteFile(fresh, content, 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(fresh, w.path(name)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) writePair(name string, certificate, key []byte) {
	w.t.Helper()
	w.write(name+".key", key)
	w.write(name+".crt", certificate)
}

const auditAll = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n"

func (w *world) writeFiles() {
	w.t.Helper()
	certificate, key := w.ca.serving[0].Serving(w.t, "localhost")
	w.writePair("serving", certificate, key)
	certificate, key = w.ca.etcd.Client(w.t, "strata")
	w.writePair("etcd", certificate, key)
	w.write("etcd-ca.crt", w.ca.etcd.PEM)
	w.write("clients.crt", w.ca.clients[0].PEM)
	w.write("policy.yaml", []byte(auditAll))
	w.write("rbac.yaml", []byte(roles(true)))
	w.useTokens("token-0")
	w.token.Store(&[]string{"token-0"}[0])
}

// useTokens are those that the servers take for the administrator's from now on.
func (w *world) useTokens(tokens ...string) {
	w.t.Helper()
	text := "viewertoken,viewer,2,\nreadertoken,reader,3,system:masters\n"
	for _, token := range tokens {
		text += token + ",admin,1,system:masters\n"
	}
	w.write("tokens.csv", []byte(text))
}

// kubeconfig is one of an administrator for the direct server.
func (w *world) kubeconfig() string {
	w.t.Helper()
	w.write("serving-cas.crt", slices.Concat(w.ca.serving[0].PEM, w.ca.serving[1].PEM))
	w.write("kubeconfig", []byte(fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: x,
clusters: [{name: c, cluster: {server: "%s", certificate-authority: serving-cas.crt}}],
users: [{name: u, user: {token: readertoken}}], contexts: [{name: x, context: {cluster: c, user: u}}]}`, w.api.URL)))
	return w.path("kubeconfig")
}

// store is a strata-storage that has some records once.
func (w *world) store(name string) *rig.Backend {
	w.t.Helper()
	b := rig.StartBackendIn(w.t, "strata-storage", w.path("store-"+name), rig.FreePort(w.t))
	c := b.Client(w.t)
	for i := range 20 {
		image, name := rig.Digest(i), fmt.Sprint("app-", i)
		rig.Put(w.t, c, rig.ImageKey(image), rig.ImageValue(w.t, image, rig.Digest(1000+i)))
		rig.Put(w.t, c, rig.StreamKey("own", name), rig.StreamValue(w.t, "own", name, image))
	}
	return b
}

// A server, and how it is asked.
type server struct {
	*rig.Process
	w      *world
	name   string
	url    string
	roots  *x509.CertPool
	log    *os.File
	mayLag time.Duration // how much older an answer may be than what was acknowledged when it was asked for
	asks   []ask         // of its readers
	probed ask           // over and over while a fault hits it
	series series
}

// start runs a server whose caches are small, so that they are full soon.
func (w *world) start(name string, asks []ask, probed ask, flags ...string) {
	w.t.Helper()
	port := rig.FreePort(w.t)
	s := &server{w: w, name: name, url: fmt.Sprintf("https://127.0.0.1:%d", port), roots: x509.NewCertPool(),
		asks: asks, probed: probed}
	for _, ca := range w.ca.serving {
		s.roots.AppendCertsFromPEM(ca.PEM)
	}
	flags = append(flags, "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port), "--file-poll-interval=1s",
		"--tls-cert-file="+w.path("serving.crt"), "--tls-private-key-file="+w.path("serving.key"),
		"--token-auth-file="+w.path("tokens.csv"), "--client-ca-file="+w.path("clients.crt"),
		"--requestheader-client-ca-file="+w.path("clients.crt"), "--authorization-mode=RBAC", "--rbac-file="+w.path("rbac.yaml"),
		"--audit-policy-file="+w.path("policy.yaml"), "--audit-log-path="+w.path("audit-"+name), "--audit-log-maxsize=1",
		"--audit-log-maxbackup=2", "--watch-history-age=60s", "--watch-history-bytes=4194304", "--watch-cache-bytes=1048576",
		"--layers-history-bytes=1048576", "--layers-usage-bytes=1048576", "--response-cache-bytes=4194304")
	s.log = w.log.writer
	if name != "direct" {
		s.log = w.create(name + ".log")
	}
	s.Process = rig.Prepare(w.t, rig.Strata(w.t, "strata-apiserver"), flags...)
	s.launch()
	w.servers = append(w.servers, s)
	rig.Eventually(w.t, name+" is ready", func() error { _, err := s.client(false).get("/readyz", ""); return err })
}

func (s *server) launch() { s.LaunchWith(s.log) }

func (w *world) server(name string) *server {
	for _, s := range w.servers {
		if s.name == name {
			return s
		}
	}
	panic(name)
}

// over are the servers over etcd.
func (w *world) over() []*server { return w.servers[:2] }

func (s *server) config() *tls.Config { return &tls.Config{RootCAs: s.roots} }

// A slowSink is a pipe that is read, and at times slowly: hardly faster than nothing.
type slowSink struct {
	writer *os.File
	slow   atomic.Bool
}

func newSlowSink(t *testing.T, to *os.File) *slowSink {
	t.Helper()
	r, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &slowSink{writer: writer}
	t.Cleanup(func() { r.Close(); writer.Close() })
	go func() {
		buffer := make([]byte, 32<<10)
		for {
			piece := buffer
			if s.slow.Load() {
				time.Sleep(200 * time.Millisecond)
				piece = buffer[:64]
			}
			n, err := r.Read(piece)
			if err != nil {
				return
			}
			_, _ = to.Write(piece[:n])
		}
	}()
	return s
}
