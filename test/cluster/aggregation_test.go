package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	imageclient "github.com/openshift/client-go/image/clientset/versioned/typed/image/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"

	"strata/test/rig"
)

func TestUsersReadLayersThroughTheAggregator(t *testing.T) {
	policy, auditLog := filepath.Join(t.TempDir(), "policy.yaml"), filepath.Join(t.TempDir(), "audit.log")
	if err := os.WriteFile(policy, []byte("{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Metadata}]}"),
		0o600); err != nil {
		t.Fatal(err)
	}
	c := newCluster(t, "--audit-policy-file="+policy, "--audit-log-path="+auditLog)
	c.storeApp()
	path := rig.LayersPath(namespace, "app")

	t.Run("kubectl get --raw", func(t *testing.T) {
		out := c.kubectl("puller", "get", "--raw", path)
		rig.Contains(t, out, `"kind":"ImageStreamLayers"`, rig.Digest(11), rig.Digest(12))
		if admin := c.kubectl("admin", "get", "--raw", path); admin != out {
			t.Errorf("two users, two answers: %s and %s", admin, out)
		}
		refused, err := c.tryKubectl("nobody", "get", "--raw", path)
		if err == nil {
			t.Errorf("nobody may read: %s", refused)
		}
		rig.Contains(t, refused, `User "nobody" cannot get resource "imagestreams/layers"`)
	})

	t.Run("typed client", func(t *testing.T) {
		for _, form := range []string{"application/json", "application/vnd.kubernetes.protobuf"} {
			config := c.configOf("puller")
			config.ContentType = form
			client, err := imageclient.NewForConfig(config)
			if err != nil {
				t.Fatal(err)
			}
			layers, err := client.ImageStreams(namespace).Layers(context.Background(), "app", metav1.GetOptions{})
			if err != nil {
				t.Fatalf("%s: %v", form, err)
			}
			if got := layers.Images[rig.Digest(1)].Layers; len(got) != 2 || got[0] != rig.Digest(11) {
				t.Errorf("%s: layers %v", form, got)
			}
			_, err = client.ImageStreams(namespace).Layers(context.Background(), "nope", metav1.GetOptions{})
			if !apierrors.IsNotFound(err) {
				t.Errorf("want NotFound, got %v", err)
			}
			_, err = client.ImageStreams("strata").Layers(context.Background(), "app", metav1.GetOptions{})
			if !apierrors.IsForbidden(err) {
				t.Errorf("want Forbidden, got %v", err)
			}
		}
	})

	t.Run("dynamic client", func(t *testing.T) {
		client := dynamic.NewForConfigOrDie(c.configOf("puller"))
		streams := client.Resource(schema.GroupVersionResource{Group: group, Version: "v1", Resource: "imagestreams"})
		object, err := streams.Namespace(namespace).Get(context.Background(), "app", metav1.GetOptions{}, "layers")
		if err != nil {
			t.Fatal(err)
		}
		if object.GetKind() != "ImageStreamLayers" || object.GetName() != "app" {
			t.Errorf("%s %s", object.GetKind(), object.GetName())
		}
	})

	t.Run("discovery client", func(t *testing.T) {
		client := discovery.NewDiscoveryClientForConfigOrDie(c.configOf("nobody"))
		for _, legacy := range []bool{false, true} {
			client.UseLegacyDiscovery = legacy
			_, lists, err := client.ServerGroupsAndResources()
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, list := range lists {
				for _, resource := range list.APIResources {
					found = found || (list.GroupVersion == group+"/v1" && resource.Name == "imagestreams/layers")
				}
			}
			if !found {
				t.Errorf("legacy=%v: imagestreams/layers isn't there", legacy)
			}
		}
	})

	t.Run("kubectl's view of the API", func(t *testing.T) {
		for _, user := range []string{"puller", "nobody"} {
			rig.Contains(t, c.kubectl(user, "api-versions"), group+"/v1")
			rig.Contains(t, c.kubectl(user, "api-resources", "--api-group="+group), "imagestreams", "ImageStream")
		}
		rig.Contains(t, c.kubectl("admin", "get", "apiservice", "v1."+group), "True")
		if out, err := c.tryKubectl("nobody", "get", "apiservice", "v1."+group); err == nil {
			t.Errorf("nobody sees the APIService: %s", out)
		}
		for user, want := range map[string]string{"puller": "yes", "nobody": "no"} {
			out, _ := c.tryKubectl(user, "auth", "can-i", "get", "imagestreams."+group, "--subresource=layers",
				"-n", namespace)
			if !strings.HasPrefix(out, want) {
				t.Errorf("may %s get imagestreams/layers? %s", user, out)
			}
		}
	})

	t.Run("the access review is about the layers", func(t *testing.T) {
		review, err := c.client.AuthorizationV1().SubjectAccessReviews().Create(context.Background(),
			&authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
				User: "puller", ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace,
					Verb: "get", Group: group, Version: "v1", Resource: "imagestreams", Subresource: "layers"}}},
			metav1.CreateOptions{})
		if err != nil || !review.Status.Allowed {
			t.Errorf("%v %+v", err, review)
		}
	})

	t.Run("audit events share the front's id and its user", func(t *testing.T) {
		request := c.client.RESTClient().Get().AbsPath(path).SetHeader("Audit-ID", "traced-from-the-front")
		c.check(request.Do(context.Background()).Error())
		rig.EventuallyWithin(t, 10*time.Second, "the event is logged", func() error {
			text, err := os.ReadFile(auditLog)
			if err != nil {
				return err
			}
			for _, line := range strings.Split(string(text), "\n") {
				if strings.Contains(line, `"auditID":"traced-from-the-front"`) &&
					strings.Contains(line, `"stage":"ResponseComplete"`) &&
					strings.Contains(line, `"username":"admin"`) && strings.Contains(line, `"code":200`) {
					return nil
				}
			}
			return fmt.Errorf("not in %d bytes", len(text))
		})
	})

	t.Run("OpenAPI", func(t *testing.T) {
		rig.EventuallyWithin(t, time.Minute, "kube-apiserver has our schemas", func() error {
			out, err := c.tryKubectl("puller", "get", "--raw", "/openapi/v3/apis/"+group+"/v1")
			if err != nil {
				return fmt.Errorf("%v: %s", err, out)
			}
			if !strings.Contains(out, "com.github.openshift.api.image.v1.ImageStreamLayers") {
				return fmt.Errorf("no schema in %.200s", out)
			}
			return nil
		})
		rig.EventuallyWithin(t, 2*time.Minute, "the merged document has them too", func() error {
			document, err := c.client.Discovery().OpenAPISchema()
			if err != nil {
				return err
			}
			for _, definition := range document.Definitions.AdditionalProperties {
				if definition.Name == "com.github.openshift.api.image.v1.ImageStreamLayers" {
					return nil
				}
			}
			return fmt.Errorf("no definition")
		})
	})
}

func TestNamespacesComeAndGo(t *testing.T) {
	c := newCluster(t)
	for i := 0; i < 3; i++ {
		name := fmt.Sprintf("passing-%d", i)
		_, err := c.client.CoreV1().Namespaces().Create(context.Background(),
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		c.check(err)
		c.check(c.client.CoreV1().Namespaces().Delete(context.Background(), name, metav1.DeleteOptions{}))
		rig.EventuallyWithin(t, time.Minute, "the namespace is gone", func() error {
			_, err := c.client.CoreV1().Namespaces().Get(context.Background(), name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return nil
			}
			return fmt.Errorf("still there: %v", err)
		})
	}
}
