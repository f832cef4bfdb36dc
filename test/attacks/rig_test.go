package attacks

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"strata/test/rig"
)

const (
	adminToken  = "admintoken"
	greedyToken = "greedytoken" // who attacks, and has rights in demo alone
	modestToken = "modesttoken" // who has the same, and wants little
)

const roles = `apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: pullers, namespace: demo}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'system:image-puller'}
subjects: [{kind: Group, name: devs}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: readers, namespace: demo}
rules: [{apiGroups: [image.openshift.io], resources: [imagestreams, imagestreamtags], verbs: [get, list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: readers, namespace: demo}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: readers}
subjects: [{kind: Group, name: devs}]
`

// A server that is attacked, in front of an etcd that has the stream demo/app, and other/secret, which only the
// administrator may read.
type server struct {
	*rig.Process
	backend *rig.Backend
	etcd    *clientv3.Client
	url     string
	address string
	tls     *tls.Config
	admin   *http.Client
}

func start(t *testing.T, flags ...string) *server {
	t.Helper()
	b := rig.StartBackend(t, "etcd-3.6")
	s := &server{backend: b, etcd: b.Client(t)}
	s.putStream(t, "demo", "app", 1, 2, 3)
	s.putStream(t, "other", "secret", 9)

	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca := rig.NewCA(t, "rig")
	certificate, key := ca.Serving(t, "localhost")
	write("serving.crt", certificate)
	write("serving.key", key)
	tokens := write("tokens.csv", []byte(adminToken+",admin,1,system:masters\n"+
		greedyToken+",greedy,2,devs\n"+modestToken+",modest,3,devs\n"))
	s.Process, s.url = rig.StartServer(t, dir, append([]string{"--etcd-servers=" + b.URL, "--token-auth-file=" + tokens,
		"--rbac-file=" + write("rbac.yaml", []byte(roles))}, flags...)...)
	s.address = strings.TrimPrefix(s.url, "https://")
	s.tls = &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}
	s.admin = s.client()
	return s
}

// putStream writes a stream, and an image with the one layer of the same number for each tag event.
func (s *server) putStream(t *testing.T, ns, name string, images ...int) {
	t.Helper()
	var names []string
	for _, n := range images {
		names = append(names, rig.Digest(n))
		rig.Put(t, s.etcd, rig.ImageKey(rig.Digest(n)), rig.ImageValue(t, rig.Digest(n), rig.Digest(1000+n)))
	}
	rig.Put(t, s.etcd, rig.StreamKey(ns, name), rig.StreamValue(t, ns, name, names...))
}

// putMany writes so many streams of about so many bytes in demo.
func (s *server) putMany(t *testing.T, streams, bytes int) {
	t.Helper()
	images := make([]string, 1+bytes/90)
	for i := range images {
		images[i] = rig.Digest(i)
	}
	s.putAll(t, streams, bytes, func(i int) clientv3.Op {
		name := many(i)
		return clientv3.OpPut(rig.StreamKey("demo", name), rig.StreamValue(t, "demo", name, images...))
	})
}

// many is the name of the i-th of them.
func many(i int) string { return fmt.Sprintf("many-%05d", i) }

// putImages writes the first images that putMany's streams name, with so many layers each, all of them different.
func (s *server) putImages(t *testing.T, images, layers int) {
	t.Helper()
	s.putAll(t, images, layers*200, func(i int) clientv3.Op {
		digests := make([]string, layers)
		for l := range digests {
			digests[l] = rig.Digest(1_000_000 + i*layers + l)
		}
		return clientv3.OpPut(rig.ImageKey(rig.Digest(i)), rig.ImageValue(t, rig.Digest(i), digests...))
	})
}

// putAll writes so many records of about so many bytes.
func (s *server) putAll(t *testing.T, records, bytes int, put func(i int) clientv3.Op) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
	defer cancel()
	var ops []clientv3.Op
	for i := 0; i < records; i++ {
		ops = append(ops, put(i))
		if size := len(ops) * bytes; len(ops) == 100 || size > 500<<10 || i == records-1 {
			if _, err := s.etcd.Txn(ctx).Then(ops...).Commit(); err != nil {
				t.Fatal(err)
			}
			ops = nil
		}
	}
}

// client has connections of its own.
func (s *server) client() *http.Client {
	return &http.Client{Timeout: rig.Patience,
		Transport: &http.Transport{TLSClientConfig: s.tls.Clone(), ForceAttemptHTTP2: true}}
}

// get is one GET with a client; an error of the transport is code 0.
func (s *server) get(client *http.Client, path, token string) (int, string) {
	return s.getAs(client, path, token, "")
}

func (s *server) getAs(client *http.Client, path, token, accept string) (int, string) {
	request, err := http.NewRequest("GET", s.url+path, nil)
	if err != nil {
		return 0, err.Error()
	}
	if accept != "" {
		request.Header.Set("Accept", accept)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
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

// dial is a TLS connection that speaks `protocol`, closed at the end of the test.
func (s *server) dial(t *testing.T, protocol string) *tls.Conn {
	t.Helper()
	config := s.tls.Clone()
	config.NextProtos = []string{protocol}
	// What is written at once comes at once, up to 16 KiB.
	config.DynamicRecordSizingDisabled = true
	connection, err := tls.Dial("tcp", s.address, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	if err := connection.SetDeadline(time.Now().Add(rig.Patience)); err != nil {
		t.Fatal(err)
	}
	return connection
}

// metric is the sum of the series that begin so: a name, with labels or without.
func (s *server) metric(t *testing.T, series string) float64 {
	t.Helper()
	code, text := s.get(s.admin, "/metrics", adminToken)
	found := regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(series)+`(?:\{.*\})? (\S+)$`).FindAllStringSubmatch(text, -1)
	if code != 200 || found == nil {
		t.Fatalf("%s isn't in /metrics (%d)", series, code)
	}
	sum := 0.0
	for _, one := range found {
		value, err := strconv.ParseFloat(one[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += value
	}
	return sum
}

// closes counts the connections that the server has ended for this reason.
func (s *server) closes(t *testing.T, reason string) float64 {
	t.Helper()
	return s.metric(t, `strata_http_connection_closes_total{reason="`+reason+`"}`)
}

// awaitMetric waits until a series has a value that is wanted.
func (s *server) awaitMetric(t *testing.T, series string, wanted func(value float64) bool) {
	t.Helper()
	rig.Eventually(t, series, func() error {
		if value := s.metric(t, series); !wanted(value) {
			return fmt.Errorf("it is %v", value)
		}
		return nil
	})
}

// revision is the etcd's.
func (s *server) revision(t *testing.T) string {
	t.Helper()
	response, err := s.etcd.Get(t.Context(), "/")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(response.Header.Revision)
}
