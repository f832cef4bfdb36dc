package cluster

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"sort"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strata/test/rig"
)

const (
	golden     = "../golden/"
	aggregated = "kube-apiserver(aggregator)"
)

// A recorded request, and what was answered.
type recording struct {
	Case    string
	Server  string
	Request struct {
		Method, Path, Auth string
		Headers            map[string]string
	}
	Response struct {
		Status int
		File   string
	}
}

type record struct {
	Key      string
	Value    []byte
	Revision int64 `json:"modRevision"`
}

// loadGolden writes the recorded records at their recorded revisions, which are their resourceVersions.
func (c *cluster) loadGolden() {
	c.t.Helper()
	file, err := os.Open(golden + "etcd.jsonl.gz")
	c.check(err)
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	c.check(err)
	var records []record
	for lines := bufio.NewReader(unzipped); ; {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var one record
			c.check(json.Unmarshal(line, &one))
			records = append(records, one)
		}
		if err == io.EOF {
			break
		}
		c.check(err)
	}
	sort.Slice(records, func(i, j int) bool { return records[i].Revision < records[j].Revision })
	client := c.records.Client(c.t)
	revision := int64(1)
	for _, one := range records {
		for ; revision < one.Revision-1; revision++ {
			rig.Put(c.t, client, "/filler", "")
		}
		if revision = rig.Put(c.t, client, one.Key, string(one.Value)); revision != one.Revision {
			c.t.Fatalf("%s: recorded at revision %d, written at %d", one.Key, one.Revision, revision)
		}
	}
}

// What openshift-apiserver answered behind a kube-apiserver, byte for byte, from Strata behind one.
func TestGoldenBytesThroughTheAggregator(t *testing.T) {
	c := newCluster(t)
	c.loadGolden()
	ctx := context.Background()
	_, err := c.client.CoreV1().Namespaces().Create(ctx,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "golden-a"}}, metav1.CreateOptions{})
	c.check(err)
	_, err = c.client.RbacV1().RoleBindings("golden-a").Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "puller"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:image-puller"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "puller"}},
	}, metav1.CreateOptions{})
	c.check(err)

	var manifest struct{ Cases []recording }
	text, err := os.ReadFile(golden + "manifest.json")
	c.check(err)
	c.check(json.Unmarshal(text, &manifest))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.ca.PEM)
	client := &http.Client{Timeout: rig.Patience, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true, DisableCompression: true}}
	replayed := 0
	for _, one := range manifest.Cases {
		if one.Server != aggregated {
			continue
		}
		replayed++
		request, err := http.NewRequest(one.Request.Method, c.config.Host+one.Request.Path, nil)
		c.check(err)
		for name, value := range one.Request.Headers {
			request.Header.Set(name, value)
		}
		request.Header.Set("Authorization", "Bearer "+one.Request.Auth[len("token "):])
		response, err := client.Do(request)
		c.check(err)
		body, err := io.ReadAll(response.Body)
		c.check(err)
		response.Body.Close()
		want, err := os.ReadFile(golden + one.Response.File)
		c.check(err)
		if response.StatusCode != one.Response.Status || !bytes.Equal(body, want) {
			t.Errorf("%s: want %d %s, got %d %s", one.Case, one.Response.Status, want, response.StatusCode, body)
		}
	}
	if replayed == 0 {
		t.Error("no recorded case was replayed")
	}
}
