package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/yaml"

	"strata/test/rig"
)

const frontComponent = "../../deploy/components/registry-front/"

// What kube-apiserver of 1.34 has to be told for that which 1.36 has by itself.
var withPolicies = []string{"--feature-gates=MutatingAdmissionPolicy=true",
	"--runtime-config=admissionregistration.k8s.io/v1beta1=true"}

// asBeta is a file of the component's as 1.34 knows its kinds. A mistake in it fails here.
func (c *cluster) asBeta(name string) string {
	c.t.Helper()
	text, err := os.ReadFile(frontComponent + name)
	c.check(err)
	return c.write(name, []byte(strings.NewReplacer("admissionregistration.k8s.io/v1\n",
		"admissionregistration.k8s.io/v1beta1\n", "failurePolicy: Ignore", "failurePolicy: Fail").Replace(string(text))))
}

// registryPod is a pod as the registry's operator makes it, in what matters here.
func registryPod(label, container string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "image-registry", Labels: map[string]string{"docker-registry": label}},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{
				{Name: "beside", Image: "other"},
				{Name: container, Image: "registry", Env: []corev1.EnvVar{{Name: "REGISTRY_HTTP_NET", Value: "tcp"}},
					VolumeMounts: []corev1.VolumeMount{{Name: "registry-tls", MountPath: "/etc/secrets"}}},
			},
			Volumes: []corev1.Volume{{Name: "registry-tls", VolumeSource: corev1.VolumeSource{
				EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
		},
	}
}

// made is what becomes of a pod at admission.
func (c *cluster) made(namespace string, pod *corev1.Pod) *corev1.Pod {
	c.t.Helper()
	made, err := c.client.CoreV1().Pods(namespace).Create(context.Background(), pod,
		metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	c.check(err)
	return made
}

// led tells whether a pod asks the front.
func led(pod *corev1.Pod) bool {
	for _, container := range pod.Spec.Containers {
		for _, variable := range container.Env {
			if variable.Name == "KUBECONFIG" {
				return true
			}
		}
	}
	return false
}

func (c *cluster) awaitLed(want bool, label string) *corev1.Pod {
	c.t.Helper()
	var pod *corev1.Pod
	rig.Eventually(c.t, fmt.Sprintf("a pod with docker-registry=%s is led to the front: %v", label, want), func() error {
		if pod = c.made(registryNamespace, registryPod(label, "registry")); led(pod) != want {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	return pod
}

// kyverno is the pod with what the Kyverno policy's patch makes of it; (name) is its way to say which container.
func (c *cluster) kyverno(pod *corev1.Pod) *corev1.Pod {
	c.t.Helper()
	text, err := os.ReadFile(frontComponent + "policy-kyverno.yaml")
	c.check(err)
	var policy struct {
		Spec struct {
			Rules []struct {
				Mutate struct{ PatchStrategicMerge map[string]any }
			}
		}
	}
	c.check(yaml.Unmarshal([]byte(strings.ReplaceAll(string(text), "(name)", "name")), &policy))
	patch, err := json.Marshal(policy.Spec.Rules[0].Mutate.PatchStrategicMerge)
	c.check(err)
	before, err := json.Marshal(pod)
	c.check(err)
	after, err := strategicpatch.StrategicMergePatch(before, patch, corev1.Pod{})
	c.check(err)
	var patched corev1.Pod
	c.check(json.Unmarshal(after, &patched))
	return &patched
}

// parts are what of a pod the policies are about, in no order.
func (c *cluster) parts(pod *corev1.Pod) []string {
	c.t.Helper()
	var found []string
	add := func(where string, part any) {
		text, err := json.Marshal(part)
		c.check(err)
		found = append(found, where+" "+string(text))
	}
	for _, container := range pod.Spec.Containers {
		for _, variable := range container.Env {
			add(container.Name, variable)
		}
		for _, mount := range container.VolumeMounts {
			mount.RecursiveReadOnly = nil
			add(container.Name, mount)
		}
	}
	for _, volume := range pod.Spec.Volumes {
		if volume.ConfigMap != nil {
			volume.ConfigMap.DefaultMode = nil
		}
		add("volume", volume)
	}
	slices.Sort(found)
	return found
}

func TestPodsOfTheRegistryAreLedToTheFront(t *testing.T) {
	c := newControlPlane(t, "etcd-3.6", withPolicies...)
	c.createNamespace(registryNamespace)
	c.createNamespace(namespace)
	c.awaitLed(false, "canary")

	c.kubectl("admin", "apply", "--validate=strict", "-f", c.asBeta("policy.yaml"))
	pod := c.awaitLed(true, "canary")
	if got, want := c.parts(pod), c.parts(c.kyverno(registryPod("canary", "registry"))); !slices.Equal(got, want) {
		t.Errorf("by the policy:\n%s\nby Kyverno's:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	rig.Contains(t, strings.Join(c.parts(pod), "\n"), `registry {"name":"KUBECONFIG","value":"/etc/strata-front/kubeconfig"}`,
		`registry {"name":"REGISTRY_HTTP_NET","value":"tcp"}`, `"configMap":{"name":"strata-registry-front","optional":true}`)
	if led(c.made(registryNamespace, registryPod("default", "registry"))) {
		t.Error("the registry's own pods are led to the front beside the canary")
	}

	c.kubectl("admin", "apply", "--validate=strict", "-f", c.asBeta("policy-all.yaml"))
	c.awaitLed(true, "default")
	for what, pod := range map[string]*corev1.Pod{
		"another namespace's": c.made(namespace, registryPod("default", "registry")),
		"another label":       c.made(registryNamespace, registryPod("other", "registry")),
		"another container":   c.made(registryNamespace, registryPod("default", "pruner")),
	} {
		if led(pod) {
			t.Errorf("%s: led to the front", what)
		}
	}

	c.kubectl("admin", "delete", "-f", c.path("policy-all.yaml"))
	c.awaitLed(false, "default")
	c.awaitLed(true, "canary")
	c.kubectl("admin", "delete", "-f", c.path("policy.yaml"))
	c.awaitLed(false, "canary")
}
