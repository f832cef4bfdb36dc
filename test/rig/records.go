package rig

import (
	"context"
	"fmt"
	"strings"
	"testing"

	imagev1 "github.com/openshift/api/image/v1"
	clientv3 "go.etcd.io/etcd/client/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Records as OpenShift's own encoder stores them.
type marshaler interface{ Marshal() ([]byte, error) }

func Encode(t *testing.T, kind string, object marshaler) string {
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

func ImageKey(name string) string      { return "/openshift.io/images/" + name }
func StreamKey(ns, name string) string { return "/openshift.io/imagestreams/" + ns + "/" + name }

func Digest(n int) string { return fmt.Sprintf("sha256:%064x", n) }

func ImageValue(t *testing.T, name string, layers ...string) string {
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
	return Encode(t, "Image", image)
}

func StreamValue(t *testing.T, ns, name string, images ...string) string {
	stream := &imagev1.ImageStream{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: ns}}
	tag := imagev1.NamedTagEventList{Tag: "latest"}
	for _, image := range images {
		tag.Items = append(tag.Items, imagev1.TagEvent{Image: image})
	}
	stream.Status.Tags = []imagev1.NamedTagEventList{tag}
	return Encode(t, "ImageStream", stream)
}

func Put(t *testing.T, c *clientv3.Client, key, value string) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	response, err := c.Put(ctx, key, value)
	if err != nil {
		t.Fatal(err)
	}
	return response.Header.Revision
}

// WriteAsKube writes as kube-apiserver does, the only way that kine knows: a transaction that creates the key, or
// replaces or (without a value) deletes what was read (k8s.io/apiserver storage/etcd3/store.go).
func WriteAsKube(t *testing.T, c *clientv3.Client, key string, value *string) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	found, err := c.Get(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	var at int64
	if len(found.Kvs) != 0 {
		at = found.Kvs[0].ModRevision
	}
	txn := c.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", at))
	if value == nil {
		txn = txn.Then(clientv3.OpDelete(key))
	} else {
		txn = txn.Then(clientv3.OpPut(key, *value))
	}
	if at != 0 {
		txn = txn.Else(clientv3.OpGet(key))
	}
	response, err := txn.Commit()
	if err != nil {
		t.Fatal(err)
	}
	if !response.Succeeded {
		t.Fatalf("%s was changed meanwhile", key)
	}
	return response.Header.Revision
}

func Contains(t *testing.T, body string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(body, part) {
			t.Errorf("%q is not in %s", part, body)
		}
	}
}

// LayersPath is the path of an image stream's layers.
func LayersPath(ns, name string) string {
	return "/apis/image.openshift.io/v1/namespaces/" + ns + "/imagestreams/" + name + "/layers"
}
