package cluster

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"strata/test/rig"
)

// clients/layer-policy: a controller author's program, between a real kube-apiserver and Strata.
func TestAnAdmissionWebhookDecidesByLayers(t *testing.T) {
	c := newCluster(t)
	c.storeApp()
	c.store(rig.ImageKey(rig.Digest(2)), rig.ImageValue(t, rig.Digest(2), rig.Digest(11), rig.Digest(66)))
	c.store(rig.StreamKey(namespace, "bad"), rig.StreamValue(t, namespace, "bad", rig.Digest(1), rig.Digest(2)))

	port := rig.FreePort(t)
	certificates := t.TempDir()
	certificate, key := c.ca.Serving(t, "localhost")
	for name, content := range map[string][]byte{"tls.crt": certificate, "tls.key": key,
		"denied.txt": []byte("# the hole\n" + rig.Digest(66) + "\n")} {
		c.check(os.WriteFile(certificates+"/"+name, content, 0o600))
	}
	ctx := context.Background()
	_, err := c.client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "layer-policy"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:image-puller"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "nobody"}},
	}, metav1.CreateOptions{})
	c.check(err)
	program := rig.Start(t, rig.Peer(t, "layer-policy"), "--registry=registry:5000", "--denied-layers="+certificates+"/denied.txt",
		"--host=127.0.0.1", fmt.Sprintf("--port=%d", port), "--cert-dir="+certificates,
		"--kubeconfig="+c.path("nobody.kubeconfig"))

	bad := "registry:5000/" + namespace + "/bad@" + rig.Digest(2)
	_, err = c.client.CoreV1().Pods(namespace).Create(ctx, running("there-before", bad), metav1.CreateOptions{})
	c.check(err)

	url := fmt.Sprintf("https://127.0.0.1:%d/validate-pods", port)
	text, err := os.ReadFile(policyComponent + "webhook.yaml")
	c.check(err)
	var hook admissionv1.ValidatingWebhookConfiguration
	c.check(yaml.UnmarshalStrict(text, &hook))
	hook.Webhooks[0].ClientConfig = admissionv1.WebhookClientConfig{URL: &url, CABundle: c.ca.PEM}
	_, err = c.client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(ctx, &hook, metav1.CreateOptions{})
	c.check(err)

	pods := 0
	create := func(image string) error {
		pods++
		_, err := c.client.CoreV1().Pods(namespace).Create(ctx, running(fmt.Sprintf("pod-%d", pods), image),
			metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	}
	rig.EventuallyWithin(t, time.Minute, "the webhook refuses the denied layer", func() error {
		err := create(bad)
		if err == nil || !strings.Contains(err.Error(), "contains the denied layer "+rig.Digest(66)) {
			return fmt.Errorf("got %v", err)
		}
		return nil
	})
	for _, image := range []string{
		"registry:5000/" + namespace + "/app@" + rig.Digest(1),
		"registry:5000/" + namespace + "/bad@" + rig.Digest(1),
		"registry:5000/" + namespace + "/nope@" + rig.Digest(2),
		"elsewhere/" + namespace + "/bad@" + rig.Digest(2),
	} {
		if err := create(image); err != nil {
			t.Errorf("%s: %v", image, err)
		}
	}
	if err := create("registry:5000/" + namespace + "/bad:latest@" + rig.Digest(2)); err == nil {
		t.Error("a tag before the digest hides the layer")
	}

	patch := func(text string, subresources ...string) error {
		_, err := c.client.CoreV1().Pods(namespace).Patch(ctx, "there-before", types.StrategicMergePatchType, []byte(text),
			metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}, subresources...)
		return err
	}
	images := func(kind, name, image string) string {
		return fmt.Sprintf(`{"spec": {%q: [{"name": %q, "image": %q}]}}`, kind, name, image)
	}
	labels, good := `{"metadata": {"labels": {"a": "b"}}}`, "registry:5000/"+namespace+"/app@"+rig.Digest(1)
	for why, err := range map[string]error{
		"its labels change":           patch(labels),
		"an allowed image takes over": patch(images("containers", "c", good)),
		"an allowed image is added":   patch(images("ephemeralContainers", "e", good), "ephemeralcontainers"),
	} {
		if err != nil {
			t.Errorf("a pod with a denied image, %s: %v", why, err)
		}
	}
	tagged := strings.Replace(bad, "@", ":latest@", 1)
	for kind, err := range map[string]error{
		"containers":          patch(images("containers", "c", tagged)),
		"ephemeralContainers": patch(images("ephemeralContainers", "e", tagged), "ephemeralcontainers"),
	} {
		if err == nil || !strings.Contains(err.Error(), "contains the denied layer") {
			t.Errorf("a denied image comes with an update of %s: %v", kind, err)
		}
	}

	program.Stop(syscall.SIGKILL)
	if err := patch(labels); err != nil {
		t.Errorf("labels while the program is away: %v", err)
	}
	if err := patch(images("containers", "c", good)); err == nil || !strings.Contains(err.Error(), "failed calling webhook") {
		t.Errorf("another image while the program is away: %v", err)
	}
}

// running is a pod with the image in one container.
func running(name, image string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: image}}}}
}
