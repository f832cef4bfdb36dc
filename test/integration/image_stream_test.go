package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	imagev1 "github.com/openshift/api/image/v1"
	imageclient "github.com/openshift/client-go/image/clientset/versioned/typed/image/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strata/test/rig"
)

// As it is stored: tags in any order, one of them twice, nothing defaulted.
func storedStream() *imagev1.ImageStream {
	generation, made := int64(2), metav1.NewTime(time.Unix(1_700_000_000, 0))
	from := &corev1.ObjectReference{Kind: "DockerImage", Name: "quay.io/a/<b>:1"}
	return &imagev1.ImageStream{
		ObjectMeta: metav1.ObjectMeta{Name: "app", Namespace: "demo", UID: "u", Generation: 2, CreationTimestamp: made,
			Labels: map[string]string{"b": "2", "a": "1"}, Annotations: map[string]string{"note": "\u2028 & é"},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m", Operation: "Update", FieldsType: "FieldsV1",
				FieldsV1: &metav1.FieldsV1{Raw: []byte(`{"f:spec":{}}`)}}}},
		Spec: imagev1.ImageStreamSpec{LookupPolicy: imagev1.ImageLookupPolicy{Local: true},
			DockerImageRepository: "quay.io/a/b",
			Tags: []imagev1.TagReference{
				{Name: "v2", From: from, Generation: &generation, Annotations: map[string]string{"k": "v"}},
				{Name: "v1", Reference: true},
				{Name: "v2", From: from, Generation: &generation, ImportPolicy: imagev1.TagImportPolicy{Scheduled: true}}}},
		Status: imagev1.ImageStreamStatus{DockerImageRepository: "stale/demo/app", Tags: []imagev1.NamedTagEventList{
			{Tag: "v2", Items: []imagev1.TagEvent{{Created: made, DockerImageReference: "quay.io/a/b@" + rig.Digest(1),
				Image: rig.Digest(1), Generation: 2}}},
			{Tag: "v1", Conditions: []imagev1.TagEventCondition{{Type: "ImportSuccess", Status: "False", Reason: "NotFound",
				LastTransitionTime: made, Generation: 1}}}}},
	}
}

// What is to be answered for it.
func presentedStream(revision int64) *imagev1.ImageStream {
	stream := storedStream()
	stream.ResourceVersion = fmt.Sprint(revision)
	stream.Spec.Tags = stream.Spec.Tags[1:]
	for i := range stream.Spec.Tags {
		stream.Spec.Tags[i].ImportPolicy.ImportMode = "Legacy"
		stream.Spec.Tags[i].ReferencePolicy.Type = "Source"
	}
	stream.Status.Tags = []imagev1.NamedTagEventList{stream.Status.Tags[1], stream.Status.Tags[0]}
	stream.Status.DockerImageRepository = "registry.svc:5000/demo/app"
	stream.Status.PublicDockerImageRepository = "registry.example.com/demo/app"
	return stream
}

// The bytes are those of OpenShift's own types, as its own encoders write them.
func TestTheRecordOfAnImageStreamIsServed(t *testing.T) {
	rig.ForEachBackend(t, func(t *testing.T, name string) {
		b := rig.StartBackend(t, name)
		c := b.Client(t)
		s := startServer(t, "--etcd-servers="+b.URL, "--internal-registry-hostname=registry.svc:5000",
			"--external-registry-hostname=registry.example.com")
		path := "/apis/image.openshift.io/v1/namespaces/demo/imagestreams/app"
		if code, body := s.get(path, adminToken); code != http.StatusNotFound {
			t.Errorf("before it is there: %d %s", code, body)
		}

		revision := rig.Put(t, c, rig.StreamKey("demo", "app"), rig.Encode(t, "ImageStream", storedStream()))
		want := presentedStream(revision)
		protobuf := rig.Encode(t, "ImageStream", want)
		want.TypeMeta = metav1.TypeMeta{Kind: "ImageStream", APIVersion: "image.openshift.io/v1"}
		asJSON, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		for accept, bytes := range map[string]string{
			"application/json":                    string(asJSON) + "\n",
			"application/vnd.kubernetes.protobuf": protobuf,
		} {
			code, body := s.getAs(path, adminToken, accept)
			if code != http.StatusOK || body != bytes {
				t.Errorf("%s: %d\n%s, want\n%s", accept, code, body, bytes)
			}
		}
		_, body := s.getAs(path, adminToken, "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")
		rig.Contains(t, body, `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"app"`)
		_, body = s.getAs(path, adminToken, "application/yaml")
		rig.Contains(t, body, "kind: ImageStream\n", "importMode: Legacy")

		config := s.restConfig(adminToken)
		config.ContentType = "application/vnd.kubernetes.protobuf"
		client, err := imageclient.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		streams := client.ImageStreams("demo")
		stream, err := streams.Get(context.Background(), "app", metav1.GetOptions{ResourceVersion: fmt.Sprint(revision)})
		if err != nil || len(stream.Spec.Tags) != 2 {
			t.Errorf("%v %+v", err, stream)
		}
		if _, err := streams.Get(context.Background(), "nope", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("want NotFound, got %v", err)
		}
		err = client.RESTClient().Get().Namespace("demo").Resource("imagestreams").Name("app").
			Param("resourceVersion", fmt.Sprint(revision+1000)).MaxRetries(0).Do(context.Background()).Error()
		if !apierrors.IsTimeout(err) || !strings.Contains(err.Error(), "Too large resource version") {
			t.Errorf("a revision that isn't there yet: %v", err)
		}

		// A right to the layers is none to the record.
		if code, body := s.get(path, pullerToken); code != http.StatusForbidden {
			t.Errorf("puller: %d %s", code, body)
		}
		rig.Put(t, c, rig.StreamKey("demo", "odd"), "k8s\x00\xff\xff")
		code, body := s.get("/apis/image.openshift.io/v1/namespaces/demo/imagestreams/odd", adminToken)
		if code != http.StatusInternalServerError {
			t.Errorf("a record that can't be read: %d %s", code, body)
		}
		rig.Contains(t, body, "the image stream can't be read")
		for odd, want := range map[string]int{"..": 400, "a%25b": 400, "a%2Fb": 404, "%00": 404, strings.Repeat("x", 5000): 404} {
			if code, body := s.get("/apis/image.openshift.io/v1/namespaces/demo/imagestreams/"+odd, adminToken); code != want {
				t.Errorf("%.10s: %d %.200s", odd, code, body)
			}
		}
	})
}
