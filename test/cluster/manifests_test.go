package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"strata/test/rig"
)

// Every overlay is what a real kube-apiserver takes, without a warning: no unknown field, nothing that Pod Security's
// restricted profile forbids.
func TestOverlaysAreAccepted(t *testing.T) {
	c := newCluster(t)
	c.kubectl("admin", "label", "namespace", "strata", "pod-security.kubernetes.io/enforce=restricted",
		"pod-security.kubernetes.io/warn=restricted")
	// An overlay brings its own.
	c.kubectl("admin", "delete", "apiservice", "v1."+group, "v1alpha1."+layersGroup)
	c.createNamespace(registryNamespace) // OpenShift's
	overlays, err := filepath.Glob("../../deploy/overlays/*")
	c.check(err)
	if len(overlays) < 3 {
		t.Fatalf("overlays: %v", overlays)
	}
	for _, overlay := range append(overlays, withComponents(t, "overlays/openshift-beside", asked...)) {
		t.Run(filepath.Base(overlay), func(t *testing.T) {
			c.accepts(t, c.kubectl("admin", "kustomize", overlay))
		})
	}
}

// asked are the components of whom kube-apiserver and Gatekeeper ask about pods.
var asked = []string{"layer-policy", "layer-policy-gatekeeper", "labels"}

// accepts checks that kube-apiserver takes an installation's manifests, strictly and without a warning.
func (c *cluster) accepts(t *testing.T, manifests string) {
	t.Helper()
	var taken []string
	for _, document := range strings.Split("\n"+manifests, "\n---\n") {
		var object struct {
			APIVersion, Kind string
			Metadata         struct{ Name string }
		}
		c.check(yaml.Unmarshal([]byte(document), &object))
		// cert-manager isn't here to take its own.
		if !strings.HasPrefix(object.APIVersion, "cert-manager.io/") {
			taken = append(taken, document)
		}
	}
	file := c.write("manifests.yaml", []byte(strings.Join(taken, "\n---\n")))
	out := c.kubectl("admin", "apply", "--dry-run=server", "--validate=strict", "-f", file)
	for _, line := range strings.Split(out, "\n") {
		// What the rig itself made by other means.
		if strings.Contains(line, "Warning") && !strings.Contains(line, "last-applied-configuration") {
			t.Error(line)
		}
	}
	rig.Contains(t, out, "deployment.apps/strata-apiserver created", "service/strata ")
}

// Nothing of an overlay can write to its image or gain a right, and what the server caches is gone with its pod.
func TestContainersWriteToTheirVolumesAlone(t *testing.T) {
	overlays, err := filepath.Glob("../../deploy/overlays/*")
	if err != nil || overlays == nil {
		t.Fatal(err, overlays)
	}
	for _, overlay := range append(overlays, withComponents(t, "overlays/openshift-beside", asked...)) {
		caching := 0
		for _, pod := range podsOf(t, kustomize(t, overlay)) {
			emptyDirs := map[string]bool{}
			for _, volume := range pod.Volumes {
				emptyDirs[volume.Name] = volume.EmptyDir != nil
			}
			if pod.SecurityContext == nil || pod.SecurityContext.RunAsNonRoot == nil || !*pod.SecurityContext.RunAsNonRoot {
				t.Errorf("%s: a pod of %s may run as root", overlay, pod.Containers[0].Name)
			}
			for _, container := range append(pod.InitContainers, pod.Containers...) {
				may := container.SecurityContext
				if may == nil || may.ReadOnlyRootFilesystem == nil || !*may.ReadOnlyRootFilesystem ||
					may.AllowPrivilegeEscalation == nil || *may.AllowPrivilegeEscalation || may.Capabilities == nil ||
					!slices.Contains(may.Capabilities.Drop, "ALL") || may.Capabilities.Add != nil {
					t.Errorf("%s: container %s: %+v", overlay, container.Name, may)
				}
				for _, arg := range append(container.Command, container.Args...) {
					folder, caches := strings.CutPrefix(arg, "--cache-dir=")
					if !caches {
						continue
					}
					caching++
					if !slices.ContainsFunc(container.VolumeMounts, func(mount corev1.VolumeMount) bool {
						return emptyDirs[mount.Name] && strings.HasPrefix(folder, mount.MountPath+"/")
					}) {
						t.Errorf("%s: %s is on no emptyDir", overlay, arg)
					}
				}
			}
		}
		if caching != 1 {
			t.Errorf("%s: %d containers have --cache-dir", overlay, caching)
		}
	}
}

// podsOf are the pods that manifests make, of whatever makes them.
func podsOf(t *testing.T, manifests string) []corev1.PodSpec {
	t.Helper()
	var pods []corev1.PodSpec
	for _, document := range strings.Split("\n"+manifests, "\n---\n") {
		var object struct {
			Spec struct {
				Template    corev1.PodTemplateSpec
				JobTemplate batchv1.JobTemplateSpec
			}
		}
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			continue // whose template is none of a pod
		}
		for _, pod := range []corev1.PodSpec{object.Spec.Template.Spec, object.Spec.JobTemplate.Spec.Template.Spec} {
			if pod.Containers != nil {
				pods = append(pods, pod)
			}
		}
	}
	return pods
}

// eachInstallation shows the manifests of each overlay, and of components that none of them has.
func eachInstallation(t *testing.T, show func(t *testing.T, manifests string)) {
	t.Helper()
	overlays, err := filepath.Glob("../../deploy/overlays/*")
	if err != nil || overlays == nil {
		t.Fatal(err, overlays)
	}
	for _, folder := range overlays {
		t.Run(filepath.Base(folder), func(t *testing.T) { show(t, kustomize(t, folder)) })
	}
	t.Run("others", func(t *testing.T) {
		show(t, kustomize(t, withComponents(t, "base", append([]string{"etcd"}, asked...)...)))
	})
}

// of are the objects of a kind, by name.
func of[T any](t *testing.T, manifests, kind string) map[string]T {
	t.Helper()
	found := map[string]T{}
	for _, document := range strings.Split("\n"+manifests, "\n---\n") {
		var object struct {
			Kind     string
			Metadata struct{ Name string }
		}
		var typed T
		if err := yaml.Unmarshal([]byte(document), &object); err != nil || object.Kind != kind {
			continue
		}
		if err := yaml.Unmarshal([]byte(document), &typed); err != nil {
			t.Fatal(err)
		}
		found[object.Metadata.Name] = typed
	}
	return found
}

// A rollout ends on one node too: each pod finds a place, beside those that it replaces, and each rollout's pods look for
// nodes of their own among themselves.
func TestServersThatStandOnTheirOwnNodesStartOnOneToo(t *testing.T) {
	several := 0
	eachInstallation(t, func(t *testing.T, manifests string) {
		for name, deployment := range of[appsv1.Deployment](t, manifests, "Deployment") {
			if replicas := deployment.Spec.Replicas; replicas == nil || *replicas < 2 {
				continue
			}
			several++
			pod := deployment.Spec.Template.Spec
			if pod.Affinity != nil && pod.Affinity.PodAntiAffinity != nil &&
				pod.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
				t.Errorf("%s: a pod may find no place", name)
			}
			if len(pod.TopologySpreadConstraints) != 1 {
				t.Fatalf("%s: its pods are spread by %d constraints", name, len(pod.TopologySpreadConstraints))
			}
			got := pod.TopologySpreadConstraints[0]
			if got.TopologyKey != corev1.LabelHostname || got.WhenUnsatisfiable != corev1.ScheduleAnyway ||
				!slices.Equal(got.MatchLabelKeys, []string{appsv1.DefaultDeploymentUniqueLabelKey}) ||
				!reflect.DeepEqual(got.LabelSelector, deployment.Spec.Selector) {
				t.Errorf("%s: %+v", name, got)
			}
		}
	})
	if several < 5 {
		t.Errorf("%d Deployments have several pods", several)
	}
}

const policyComponent = "../../deploy/components/layer-policy/"

// Every policy's manifests are what a real kube-apiserver takes by the definitions of Kyverno and Gatekeeper, without a
// warning: no field is unknown. The constraint's kind is made of the template by Gatekeeper, and it isn't here.
func TestPoliciesAreAccepted(t *testing.T) {
	c := newControlPlane(t, "etcd-3.6")
	c.define("kyverno", "kyverno.io/v1 ClusterPolicy")
	c.define("gatekeeper", "templates.gatekeeper.sh/v1 ConstraintTemplate", "externaldata.gatekeeper.sh/v1beta1 Provider")
	c.createNamespace("strata")
	gatekeeper, err := os.ReadFile(policyComponent + "gatekeeper.yaml")
	c.check(err)
	withoutConstraint, _, found := strings.Cut(strings.Replace(string(gatekeeper), `caBundle: ""`, "caBundle: QQ==", 1),
		"---\napiVersion: constraints.gatekeeper.sh/")
	if !found {
		t.Fatal("gatekeeper.yaml doesn't end in a constraint")
	}
	for _, file := range []string{policyComponent + "webhook.yaml", policyComponent + "kyverno.yaml",
		c.write("gatekeeper.yaml", []byte(withoutConstraint)), frontComponent + "policy-kyverno.yaml"} {
		out := c.kubectl("admin", "apply", "--dry-run=server", "--validate=strict", "-f", file)
		// Kyverno 1.19 deprecates the kind, and has it.
		out = strings.ReplaceAll(out, "Warning: kyverno.io/v1 ClusterPolicy is deprecated", "")
		if strings.Contains(out, "Warning") || !strings.Contains(out, "created (server dry run)") {
			t.Errorf("%s: %s", file, out)
		}
	}
}

// The names by which the policies' webhook and provider are asked are those of the certificate that cert-manager puts where
// the pods look for it, and whose CA it writes into the webhook.
func TestPoliciesAreAskedByTheNamesOfTheirCertificate(t *testing.T) {
	made := objects(t, kustomize(t, withComponents(t, "overlays/plain-cluster", "layer-policy")))
	read := func(file string) map[string]any {
		text, err := os.ReadFile(policyComponent + file)
		if err != nil {
			t.Fatal(err)
		}
		return objects(t, string(text))
	}
	at := func(object any, path ...any) any {
		t.Helper()
		for _, step := range path {
			switch step := step.(type) {
			case string:
				object = object.(map[string]any)[step]
			case int:
				object = object.([]any)[step]
			}
		}
		return object
	}
	hook := read("webhook.yaml")["admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration <nil>/strata-layer-policy"]
	issued := at(hook, "metadata", "annotations", "cert-manager.io/inject-ca-from").(string)
	certificate := made["cert-manager.io/v1 Certificate "+issued]
	if certificate == nil {
		t.Fatalf("no Certificate %s", issued)
	}
	service := at(hook, "webhooks", 0, "clientConfig", "service")
	host := fmt.Sprintf("%s.%s.svc", at(service, "name"), at(service, "namespace"))
	if names := at(certificate, "spec", "dnsNames").([]any); !slices.Contains(names, any(host)) {
		t.Errorf("the webhook is asked as %s, and its certificate has %v", host, names)
	}
	provider := read("gatekeeper.yaml")["externaldata.gatekeeper.sh/v1beta1 Provider <nil>/strata-layer-policy"]
	if url := at(provider, "spec", "url").(string); !strings.HasPrefix(url, "https://"+host+":") {
		t.Errorf("the provider is asked as %s", url)
	}
	deployment := made["apps/v1 Deployment strata/strata-layer-policy"]
	mounted := at(deployment, "spec", "template", "spec", "volumes", 1, "secret", "secretName")
	if secret := at(certificate, "spec", "secretName"); secret != mounted {
		t.Errorf("the certificate is put into %v, and the pods look into %v", secret, mounted)
	}
}
