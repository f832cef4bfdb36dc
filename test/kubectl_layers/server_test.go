// Package kubectl_layers runs clients/kubectl-layers against Strata with the sample records, in a pipe and in a
// pseudo-terminal. What it prints stands in golden/; `go test -update` writes it anew, to be read before it is kept.
package kubectl_layers

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"strata/test/rig"
)

const users = "admintoken,admin,1,system:masters\npullertoken,puller,2,devs\nnobodytoken,nobody,3,devs\n"

// A server with the samples and records.yaml, behind a front that can be told to answer otherwise.
type server struct {
	t   *testing.T
	dir string
	url *url.URL // without a front
	ca  *rig.CA
}

// store is a folder with `records`, files and folders that strata-storage can load.
func store(t *testing.T, records ...string) string {
	t.Helper()
	folder := t.TempDir() + "/store"
	load := rig.Start(t, rig.Strata(t, "strata-storage"), append([]string{"load", "--data-dir=" + folder}, records...)...)
	<-load.Ended()
	return folder
}

// startServer starts Strata on a copy of a store: several on one store have the same records, to the last byte.
func startServer(t *testing.T, store string) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir(), ca: rig.NewCA(t, "ca")}
	certificate, key := s.ca.Serving(t, "localhost")
	for name, content := range map[string][]byte{"tls.crt": certificate, "tls.key": key, "tokens.csv": []byte(users)} {
		s.check(os.WriteFile(s.path(name), content, 0o600))
	}
	s.check(os.CopyFS(s.path("store"), os.DirFS(store)))
	port := rig.FreePort(t)
	rig.Start(t, rig.Strata(t, "strata-apiserver"), "--data-dir="+s.path("store"), "--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", port), "--tls-cert-file="+s.path("tls.crt"), "--tls-private-key-file="+s.path("tls.key"),
		"--token-auth-file="+s.path("tokens.csv"), "--authorization-mode=RBAC", "--rbac-file=../../deploy/samples/rbac.yaml",
		"--max-requests-inflight=0")
	s.url = &url.URL{Scheme: "https", Host: fmt.Sprintf("127.0.0.1:%d", port)}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.ca.Pool()}}}
	defer client.CloseIdleConnections()
	rig.Eventually(t, "the server is ready", func() error {
		response, err := client.Get(s.url.String() + "/readyz")
		if err != nil {
			return err
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s", response.Status)
		}
		return nil
	})
	return s
}

func (s *server) path(name string) string { return filepath.Join(s.dir, name) }

func (s *server) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// An answer that the front gives instead of the server; code 0: it has none.
type answer struct {
	code int
	body string
}

// front passes requests on, but for those that `instead` answers, and returns a kubeconfig's path for it. `change` is
// given each body of a layers answer.
func (s *server) front(name string, instead func(path string) answer, change func(path string, body []byte) []byte) string {
	s.t.Helper()
	proxy := httputil.NewSingleHostReverseProxy(s.url)
	proxy.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true,
		MaxIdleConnsPerHost: 64}
	if change != nil {
		proxy.Director = func(r *http.Request) {
			r.URL.Scheme, r.URL.Host = s.url.Scheme, s.url.Host
			r.Header.Del("Accept-Encoding")
		}
		proxy.ModifyResponse = func(r *http.Response) error { return changeBody(r, change) }
	}
	front := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a := instead(r.URL.Path); a.code != 0 {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(a.code)
			fmt.Fprint(w, a.body)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	s.t.Cleanup(front.Close)
	return s.kubeconfig(name, front.URL, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw}))
}

// direct is a kubeconfig's path for the server itself.
func (s *server) direct() string { return s.kubeconfig("direct", s.url.String(), s.ca.PEM) }

func (s *server) kubeconfig(name, url string, ca []byte) string {
	s.t.Helper()
	s.check(os.WriteFile(s.path(name+".crt"), ca, 0o600))
	var contexts, credentials strings.Builder
	for _, user := range []string{"admin", "puller", "nobody"} {
		fmt.Fprintf(&credentials, "- {name: %s, user: {token: %stoken}}\n", user, user)
		fmt.Fprintf(&contexts, "- {name: %s, context: {cluster: c, user: %s, namespace: demo}}\n", user, user)
	}
	kubeconfig := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- {name: c, cluster: {server: "%s", certificate-authority: %s}}
users:
%scontexts:
%scurrent-context: admin
`, url, name+".crt", credentials.String(), contexts.String())
	path := s.path(name + ".kubeconfig")
	s.check(os.WriteFile(path, []byte(kubeconfig), 0o600))
	return path
}

func changeBody(r *http.Response, change func(path string, body []byte) []byte) error {
	var body bytes.Buffer
	if _, err := body.ReadFrom(r.Body); err != nil {
		return err
	}
	r.Body.Close()
	changed := change(r.Request.URL.Path, body.Bytes())
	r.Body = http.NoBody
	r.ContentLength = int64(len(changed))
	r.Header.Set("Content-Length", fmt.Sprint(len(changed)))
	if len(changed) != 0 {
		r.Body = readCloser{bytes.NewReader(changed)}
	}
	return nil
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

func nothing(string) answer { return answer{} }

// status is a Kubernetes Status.
func status(code int, reason, message string) answer {
	return answer{code, fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":%q,"reason":%q,"code":%d}`,
		message, reason, code)}
}
