// Package shop is a Strata with images that policies are asked about, and a CA for whoever asks.
package shop

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	imagev1 "github.com/openshift/api/image/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strata/test/rig"
)

const (
	Registry = "registry:5000"
	token    = "policytoken"
)

// Images of the stream shop/app, but for the last two. The good one is built on the base, the bad one isn't.
var (
	Good       = Registry + "/shop/app@" + rig.Digest(1)
	GoodList   = Registry + "/shop/app@" + rig.Digest(6) // the good one and the base are its children
	Bad        = Registry + "/shop/app@" + rig.Digest(2) // has the denied layer
	BadList    = Registry + "/shop/app@" + rig.Digest(3) // the good one and the bad one are its children
	Unreadable = Registry + "/shop/app@" + rig.Digest(4) // its record is gone
	Unknown    = Registry + "/shop/app@" + rig.Digest(5) // the stream hasn't got it
	Streamless = Registry + "/shop/none@" + rig.Digest(1)
	Elsewhere  = "elsewhere/shop/app@" + rig.Digest(2)
)

// Denied is the layer that is denied.
var Denied = rig.Digest(66)

// Base is the image of the stream openshift/base.
var Base = Registry + "/openshift/base@" + rig.Digest(7)

// Shop is a folder with the server's files, and those of whoever asks it.
type Shop struct {
	*rig.Process // strata-apiserver
	CA           *rig.CA
	Dir          string
	URL          string
}

// Open starts it. `roles` are manifests of what its user, policy, may do.
func Open(t *testing.T, roles string) *Shop {
	t.Helper()
	backend := rig.StartBackend(t, "etcd-3.6")
	etcd := backend.Client(t)
	put := func(n int, value string) { rig.Put(t, etcd, rig.ImageKey(rig.Digest(n)), value) }
	put(1, rig.ImageValue(t, rig.Digest(1), rig.Digest(10), rig.Digest(11), rig.Digest(12)))
	put(2, rig.ImageValue(t, rig.Digest(2), rig.Digest(10), Denied, rig.Digest(11)))
	put(3, listValue(t, 3, 1, 2))
	put(6, listValue(t, 6, 1, 7))
	put(7, rig.ImageValue(t, rig.Digest(7), rig.Digest(10), rig.Digest(11)))
	put(8, rig.ImageValue(t, rig.Digest(8)))
	rig.Put(t, etcd, rig.StreamKey("shop", "app"),
		rig.StreamValue(t, "shop", "app", rig.Digest(1), rig.Digest(2), rig.Digest(3), rig.Digest(4), rig.Digest(6)))
	// One image of it has no layers, and the record of another is gone: with these nothing begins.
	rig.Put(t, etcd, rig.StreamKey("openshift", "base"),
		rig.StreamValue(t, "openshift", "base", rig.Digest(7), rig.Digest(8), rig.Digest(9)))

	s := &Shop{CA: rig.NewCA(t, "shop"), Dir: t.TempDir()}
	certificate, key := s.CA.Serving(t, "localhost")
	s.Write(t, "serving.crt", certificate)
	s.Write(t, "serving.key", key)
	s.Process, s.URL = rig.StartServer(t, s.Dir, "--etcd-servers="+backend.URL,
		"--token-auth-file="+s.Write(t, "tokens.csv", []byte(token+",policy,1\n")),
		"--rbac-file="+s.Write(t, "rbac.yaml", []byte(roles)))
	s.Write(t, "kubeconfig", fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: '%s', certificate-authority: %s}}]
users: [{name: u, user: {token: %s}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`, s.URL, s.Write(t, "ca.crt", s.CA.PEM), token))
	return s
}

func listValue(t *testing.T, n int, children ...int) string {
	t.Helper()
	list := &imagev1.Image{ObjectMeta: metav1.ObjectMeta{Name: rig.Digest(n)},
		DockerImageManifestMediaType: "application/vnd.docker.distribution.manifest.list.v2+json"}
	for _, child := range children {
		list.DockerImageManifests = append(list.DockerImageManifests,
			imagev1.ImageManifest{Digest: rig.Digest(child), OS: "linux"})
	}
	return rig.Encode(t, "Image", list)
}

// Kubeconfig is a file by which the policy's user asks.
func (s *Shop) Kubeconfig() string { return filepath.Join(s.Dir, "kubeconfig") }

// Write puts a file into the shop's folder, and says where.
func (s *Shop) Write(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(s.Dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
