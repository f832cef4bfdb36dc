package cluster

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
	rig.Start(t, rig.Peer(t, "layer-policy"), "--registry=registry:5000", "--denied-layers="+certificates+"/denied.txt",
		"--host=127.0.0.1", fmt.Sprintf("--port=%d", port), "--cert-dir="+certificates,
		"--kubeconfig="+c.path("nobody.kubeconfig"))

	url := fmt.Sprintf("https://127.0.0.1:%d/validate-pods", port)
	fail, none := admissionv1.Fail, admissionv1.SideEffectClassNone
	_, err = c.client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(ctx,
		&admissionv1.ValidatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: "layer-policy"},
			Webhooks: []admissionv1.ValidatingWebhook{{
				Name: "layer-policy.strata.example", AdmissionReviewVersions: []string{"v1"}, SideEffects: &none,
				FailurePolicy: &fail,
				ClientConfig:  admissionv1.WebhookClientConfig{URL: &url, CABundle: c.ca.PEM},
				Rules: []admissionv1.RuleWithOperations{{
					Operations: []admissionv1.OperationType{admissionv1.Create},
					Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
				}},
			}},
		}, metav1.CreateOptions{})
	c.check(err)

	pods := 0
	create := func(image string) error {
		pods++
		_, err := c.client.CoreV1().Pods(namespace).Create(ctx, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("pod-%d", pods)},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: image}}},
		}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	}
	bad := "registry:5000/" + namespace + "/bad@" + rig.Digest(2)
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
}
