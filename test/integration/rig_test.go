package integration

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	imagev1 "github.com/openshift/api/image/v1"
	clientv3 "go.etcd.io/etcd/client/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

const (
	adminToken  = "admintoken"
	pullerToken = "pullertoken"
	patience    = 30 * time.Second
)

func binary(t *testing.T, env, fallback, name string) string {
	t.Helper()
	dir := os.Getenv(env)
	if dir == "" {
		dir = fallback
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s is needed; build it, or set %s to its folder", path, env)
	}
	return path
}

func strata(t *testing.T, name string) string {
	return binary(t, "STRATA_BIN", "../../build/bin", name)
}
func peer(t *testing.T, name string) string { return binary(t, "STRATA_PEERS", "../../build/go", name) }

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// A process of the rig; its output is shown when the test fails.
type process struct {
	t      *testing.T
	name   string
	args   []string
	cmd    *exec.Cmd
	output bytes.Buffer
	done   chan struct{}
}

func start(t *testing.T, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, args: args}
	p.launch()
	t.Cleanup(func() {
		p.stop(syscall.SIGKILL)
		if t.Failed() {
			text := p.output.String()
			if len(text) > 4000 {
				text = text[len(text)-4000:]
			}
			t.Logf("%s said:\n%s", filepath.Base(p.name), text)
		}
	})
	return p
}

func (p *process) launch() {
	p.cmd = exec.Command(p.name, p.args...)
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		_ = cmd.Wait()
		close(done)
	}(p.cmd, p.done)
}

// stop ends the process and returns its exit code.
func (p *process) stop(signal syscall.Signal) int {
	_ = p.cmd.Process.Signal(signal)
	select {
	case <-p.done:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	return p.cmd.ProcessState.ExitCode()
}

// A backend that speaks the etcd v3 API.
type backend struct {
	*process
	url string
	dir string
}

// backends names those that are there: always etcd 3.6 and our own store.
func backends(t *testing.T) []string {
	names := []string{"etcd-3.6", "strata-storage"}
	if os.Getenv("STRATA_ETCD34") != "" {
		names = append(names, "etcd-3.4")
	}
	return names
}

func forEachBackend(t *testing.T, test func(t *testing.T, name string)) {
	for _, name := range backends(t) {
		t.Run(name, func(t *testing.T) { test(t, name) })
	}
}

func startBackend(t *testing.T, name string) *backend {
	t.Helper()
	return startBackendIn(t, name, filepath.Join(t.TempDir(), "data"), freePort(t))
}

func startBackendIn(t *testing.T, name, dir string, port int) *backend {
	t.Helper()
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	var p *process
	if name == "strata-storage" {
		p = start(t, strata(t, "strata-storage"), "serve", "--data-dir="+dir, "--listen-client-urls="+url)
	} else {
		path := os.Getenv("STRATA_ETCD34")
		if name == "etcd-3.6" {
			path = peer(t, "etcd")
		}
		p = start(t, path, "--data-dir="+dir, "--listen-client-urls="+url, "--advertise-client-urls="+url,
			fmt.Sprintf("--listen-peer-urls=http://127.0.0.1:%d", freePort(t)), "--log-level=error")
	}
	b := &backend{process: p, url: url, dir: dir}
	b.client(t)
	return b
}

// client is a connection of clientv3, once the backend answers.
func (b *backend) client(t *testing.T) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{b.url}, DialTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	eventually(t, "the backend answers", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_, err := c.Get(ctx, "/")
		return err
	})
	return c
}

func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

// Certificates, tokens and roles of a server.
type identity struct {
	dir string
	ca  []byte
}

func newIdentity(t *testing.T) *identity {
	t.Helper()
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "rig"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	id := &identity{dir: dir, ca: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
	id.write(t, "serving.crt", id.ca)
	id.write(t, "serving.key", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}))
	id.write(t, "tokens.csv", []byte(adminToken+",admin,1,system:masters\n"+pullerToken+",puller,2,devs\n"))
	id.write(t, "rbac.yaml", []byte(`apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: pullers, namespace: demo}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'system:image-puller'}
subjects: [{kind: User, name: puller}]
`))
	return id
}

func (id *identity) path(name string) string { return filepath.Join(id.dir, name) }

func (id *identity) write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(id.path(name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// strata-apiserver in front of a backend.
type server struct {
	*process
	id   *identity
	url  string
	http *http.Client
}

func startServer(t *testing.T, backendFlag string) *server {
	t.Helper()
	id := newIdentity(t)
	port := freePort(t)
	p := start(t, strata(t, "strata-apiserver"), backendFlag, "--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", port), "--tls-cert-file="+id.path("serving.crt"),
		"--tls-private-key-file="+id.path("serving.key"), "--token-auth-file="+id.path("tokens.csv"),
		"--rbac-file="+id.path("rbac.yaml"))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(id.ca)
	s := &server{process: p, id: id, url: fmt.Sprintf("https://127.0.0.1:%d", port), http: &http.Client{
		Timeout:   patience,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true},
	}}
	s.awaitReady(t)
	return s
}

func (s *server) awaitReady(t *testing.T) {
	t.Helper()
	eventually(t, "the server is ready", func() error {
		code, body := s.get("/readyz", "")
		if code != 200 {
			return fmt.Errorf("%d %s", code, body)
		}
		return nil
	})
}

func layersPath(ns, name string) string {
	return "/apis/image.openshift.io/v1/namespaces/" + ns + "/imagestreams/" + name + "/layers"
}

// get is one GET; an error of the transport is code 0.
func (s *server) get(path, token string) (int, string) {
	request, _ := http.NewRequest("GET", s.url+path, nil)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := s.http.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}

// layers is the answer's body; the test fails if there is none.
func (s *server) layers(t *testing.T, ns, name string) string {
	t.Helper()
	code, body := s.get(layersPath(ns, name), adminToken)
	if code != 200 {
		t.Fatalf("layers of %s/%s: %d %s", ns, name, code, body)
	}
	return body
}

// Records as OpenShift's own encoder stores them.
type marshaler interface{ Marshal() ([]byte, error) }

func encode(t *testing.T, kind string, object marshaler) string {
	t.Helper()
	raw, err := object.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	unknown := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: "image.openshift.io/v1", Kind: kind}, Raw: raw}
	bytes, err := unknown.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return "k8s\x00" + string(bytes)
}

func imageKey(name string) string      { return "/openshift.io/images/" + name }
func streamKey(ns, name string) string { return "/openshift.io/imagestreams/" + ns + "/" + name }

func digest(n int) string { return fmt.Sprintf("sha256:%064x", n) }

func imageValue(t *testing.T, name string, layers ...string) string {
	image := &imagev1.Image{
		ObjectMeta:                   metav1.ObjectMeta{Name: name},
		DockerImageManifestMediaType: "application/vnd.docker.distribution.manifest.v2+json",
		DockerImageMetadata: runtime.RawExtension{
			Raw: []byte(`{"kind":"DockerImage","apiVersion":"image.openshift.io/1.0","Id":"sha256:config-of-` + name + `"}` + "\n")},
	}
	for _, layer := range layers {
		image.DockerImageLayers = append(image.DockerImageLayers,
			imagev1.ImageLayer{Name: layer, LayerSize: 10, MediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip"})
	}
	return encode(t, "Image", image)
}

func streamValue(t *testing.T, ns, name string, images ...string) string {
	stream := &imagev1.ImageStream{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: ns}}
	tag := imagev1.NamedTagEventList{Tag: "latest"}
	for _, image := range images {
		tag.Items = append(tag.Items, imagev1.TagEvent{Image: image})
	}
	stream.Status.Tags = []imagev1.NamedTagEventList{tag}
	return encode(t, "ImageStream", stream)
}

func put(t *testing.T, c *clientv3.Client, key, value string) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	response, err := c.Put(ctx, key, value)
	if err != nil {
		t.Fatal(err)
	}
	return response.Header.Revision
}

func contains(t *testing.T, body string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(body, part) {
			t.Errorf("%q is not in %s", part, body)
		}
	}
}
