package integration

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"strata/test/rig"
)

const (
	adminToken  = "admintoken"
	pullerToken = "pullertoken"
)

// Certificates, tokens and roles of a server.
type identity struct {
	dir   string
	ca    []byte
	under string // what a shell is told before it becomes the server
}

func newIdentity(t *testing.T) *identity {
	t.Helper()
	dir := t.TempDir()
	ca := rig.NewCA(t, "rig")
	certificate, key := ca.Serving(t, "localhost")
	id := &identity{dir: dir, ca: ca.PEM}
	id.write(t, "serving.crt", certificate)
	id.write(t, "serving.key", key)
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
	*rig.Process
	id   *identity
	url  string
	http *http.Client
}

func startServer(t *testing.T, flags ...string) *server {
	t.Helper()
	id := newIdentity(t)
	return startServerAs(t, id, append(flags, "--rbac-file="+id.path("rbac.yaml"))...)
}

func startServerAs(t *testing.T, id *identity, flags ...string) *server {
	t.Helper()
	p, url := rig.StartServerUnder(t, id.under, id.dir, append(flags, "--token-auth-file="+id.path("tokens.csv"))...)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(id.ca)
	s := &server{Process: p, id: id, url: url, http: &http.Client{
		Timeout:   rig.Patience,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true},
	}}
	return s
}

func (s *server) awaitReady(t *testing.T) {
	t.Helper()
	rig.Eventually(t, "the server is ready", func() error {
		code, body := s.get("/readyz", "")
		if code != 200 {
			return fmt.Errorf("%d %s", code, body)
		}
		return nil
	})
}

// get is one GET; an error of the transport is code 0.
func (s *server) get(path, token string) (int, string) { return s.getAs(path, token, "") }

func (s *server) getAs(path, token, accept string) (int, string) {
	code, _, body := s.answer(path, token, accept)
	return code, body
}

func (s *server) answer(path, token, accept string) (int, http.Header, string) {
	request, err := http.NewRequest("GET", s.url+path, nil)
	if err != nil {
		return 0, nil, err.Error()
	}
	if accept != "" {
		request.Header.Set("Accept", accept)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := s.http.Do(request)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, nil, err.Error()
	}
	return response.StatusCode, response.Header, string(body)
}

// layers is the answer's body; the test fails if there is none.
func (s *server) layers(t *testing.T, ns, name string) string {
	t.Helper()
	code, body := s.get(rig.LayersPath(ns, name), adminToken)
	if code != 200 {
		t.Fatalf("layers of %s/%s: %d %s", ns, name, code, body)
	}
	return body
}

func putAll(t *testing.T, c *clientv3.Client, keysAndValues ...string) int64 {
	t.Helper()
	var ops []clientv3.Op
	for i := 0; i < len(keysAndValues); i += 2 {
		ops = append(ops, clientv3.OpPut(keysAndValues[i], keysAndValues[i+1]))
	}
	ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
	defer cancel()
	response, err := c.Txn(ctx).Then(ops...).Commit()
	if err != nil {
		t.Fatal(err)
	}
	return response.Header.Revision
}
