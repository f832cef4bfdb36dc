package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	imagev1 "github.com/openshift/api/image/v1"
	imageclient "github.com/openshift/client-go/image/clientset/versioned/typed/image/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

const testRegistry = "registry:5000"

// digest is the same character 64 times.
func digest(of string) string { return "sha256:" + strings.Repeat(of, 64) }

// testCluster answers for kube-apiserver, with one stream, shop/app:
//
//	1 is made of layers a and b, 2 of a and the denied d; 3 is a list of 1 and 2; the record of 4 is gone;
//	6 is a list of 1 and 4, 7 of 3, 8 of itself and 1, a of 1 and 5, which isn't there.
//
// The stream shop/late is answered when the request is given up.
type testCluster struct {
	mu    sync.Mutex
	asked []string
}

func (c *testCluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.asked = append(c.asked, r.URL.Path)
	c.mu.Unlock()
	path, isDigest := strings.CutPrefix(r.URL.Path, "/apis/layers.strata.dev/v1alpha1/imagelayers/")
	switch {
	case r.URL.Path == "/apis/image.openshift.io/v1/namespaces/shop/imagestreams/app/layers":
		answer(w, http.StatusOK, &imagev1.ImageStreamLayers{
			TypeMeta: metav1.TypeMeta{APIVersion: "image.openshift.io/v1", Kind: "ImageStreamLayers"},
			Images: map[string]imagev1.ImageBlobReferences{
				digest("1"): {Layers: []string{digest("a"), digest("b")}},
				digest("2"): {Layers: []string{digest("a"), digest("d")}},
				digest("3"): {Manifests: []string{digest("1"), digest("2")}},
				digest("4"): {ImageMissing: true},
				digest("6"): {Manifests: []string{digest("1"), digest("4")}},
				digest("7"): {Manifests: []string{digest("3")}},
				digest("8"): {Manifests: []string{digest("8"), digest("1")}},
				digest("a"): {Manifests: []string{digest("1"), digest("5")}},
			}})
	case strings.Contains(r.URL.Path, "/imagestreams/late/"):
		<-r.Context().Done()
	case strings.Contains(r.URL.Path, "/imagestreams/broken/"):
		answer(w, http.StatusInternalServerError, &metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Code: 500, Message: "broken"})
	case isDigest && path == digest("9"):
		http.NotFound(w, r) // as where the group isn't
	case isDigest && byDigest[path] != "":
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(byDigest[path]))
	default:
		answer(w, http.StatusNotFound, &metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
			Status: "Failure", Reason: metav1.StatusReasonNotFound, Code: 404,
			Details: &metav1.StatusDetails{Name: path}})
	}
}

var byDigest = map[string]string{
	digest("1"): `{"layers": [{"name": "` + digest("a") + `"}, {"name": "` + digest("b") + `"}]}`,
	digest("2"): `{"layers": [{"name": "` + digest("a") + `"}, {"name": "` + digest("d") + `"}]}`,
	digest("3"): `{"manifests": ["` + digest("1") + `", "` + digest("2") + `"]}`,
	digest("4"): `{"unreadable": "cut off"}`,
	digest("6"): `{"manifests": ["` + digest("1") + `", "` + digest("4") + `"]}`,
	digest("7"): `{"manifests": ["` + digest("3") + `"]}`,
	digest("8"): `{"manifests": ["` + digest("8") + `", "` + digest("1") + `"]}`,
	digest("a"): `{"manifests": ["` + digest("1") + `", "` + digest("5") + `"]}`,
	digest("b"): `{"manifests": ["` + digest("1") + `/../` + digest("1") + `"]}`,
}

func answer(w http.ResponseWriter, code int, object any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(object)
}

func testRules(t *testing.T) (*rules, *testCluster) {
	t.Helper()
	cluster := &testCluster{}
	server := httptest.NewServer(cluster)
	t.Cleanup(server.Close)
	client, err := imageclient.NewForConfig(&rest.Config{Host: server.URL, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	return &rules{cluster: client, registry: testRegistry, denied: map[string]bool{digest("d"): true}}, cluster
}
