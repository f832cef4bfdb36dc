package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"strata/test/rig"
)

const (
	chart = "../../deploy/helm"
	whole = "--set=createNamespace=true" // with the Namespace, as an overlay
)

// helm runs Helm with nothing of the machine's own. Without a kubeconfig it asks no cluster.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	command := exec.Command(rig.Peer(t, "helm"), args...)
	command.Env = []string{"HOME=" + t.TempDir()}
	var warnings strings.Builder
	command.Stderr = &warnings
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("helm %s: %v: %s%s", strings.Join(args, " "), err, warnings.String(), out)
	}
	return string(out), nil
}

func render(t *testing.T, args ...string) string {
	t.Helper()
	out, err := helm(t, append([]string{"template", "strata", chart, "--namespace=strata"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func valuesOf(overlay string) string { return filepath.Join(chart, "values", overlay+".yaml") }

// A ConfigMap's name ends in a hash of what it holds, and each has a hash of its own.
var hashed = regexp.MustCompile(`strata-(registry-front|layer-policy)-[a-z0-9]{10}\b`)

// objects of a stream of YAML, by kind and name, without what names the tool that made them.
func objects(t *testing.T, manifests string) map[string]any {
	t.Helper()
	found := map[string]any{}
	for _, document := range strings.Split("\n"+hashed.ReplaceAllString(manifests, "strata-$1-HASH"), "\n---\n") {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatalf("%v in %s", err, document)
		}
		if len(object) == 0 {
			continue
		}
		metadata := object["metadata"].(map[string]any)
		if labels, ok := metadata["labels"].(map[string]any); ok {
			delete(labels, "app.kubernetes.io/managed-by")
		}
		if annotations, ok := metadata["annotations"].(map[string]any); ok {
			delete(annotations, "helm.sh/resource-policy")
			if len(annotations) == 0 {
				delete(metadata, "annotations")
			}
		}
		key := fmt.Sprintf("%v %v %v/%v", object["apiVersion"], object["kind"], metadata["namespace"], metadata["name"])
		if found[key] != nil {
			t.Errorf("%s twice", key)
		}
		found[key] = object
	}
	return found
}

func sameObjects(t *testing.T, chart, kustomize string) {
	t.Helper()
	ours, theirs := objects(t, chart), objects(t, kustomize)
	if len(theirs) < 10 {
		t.Errorf("kustomize makes %d objects", len(theirs))
	}
	for key, object := range theirs {
		if ours[key] == nil {
			t.Errorf("the chart hasn't %s", key)
		} else if !reflect.DeepEqual(ours[key], object) {
			a, _ := yaml.Marshal(ours[key])
			b, _ := yaml.Marshal(object)
			t.Errorf("%s by the chart:\n%s\nby kustomize:\n%s", key, a, b)
		}
	}
	for key := range ours {
		if theirs[key] == nil {
			t.Errorf("only the chart has %s", key)
		}
	}
}

func kustomize(t *testing.T, folder string) string {
	t.Helper()
	out, err := exec.Command(rig.Peer(t, "kubectl"), "kustomize", folder).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestTheChartMakesTheObjectsOfEachOverlay(t *testing.T) {
	overlays, err := filepath.Glob("../../deploy/overlays/*")
	if err != nil || len(overlays) < 3 {
		t.Fatalf("overlays: %v %v", overlays, err)
	}
	for _, overlay := range overlays {
		name := filepath.Base(overlay)
		t.Run(name, func(t *testing.T) {
			sameObjects(t, render(t, whole, "--values="+valuesOf(name)), kustomize(t, overlay))
			if _, err := helm(t, "lint", "--strict", "--values="+valuesOf(name), chart); err != nil {
				t.Error(err)
			}
		})
	}
}

// What no overlay decides: the values beside an overlay's, and the components that stand for them.
func TestTheChartMakesTheObjectsOfEachComponent(t *testing.T) {
	for name, row := range map[string]struct {
		overlay    string // whose values are the beginning
		from       string // the folder of deploy/ that components are added to
		components []string
		values     string
	}{
		"an etcd of its own": {"plain-cluster", "base", []string{"etcd", "cert-manager", "ha"}, "records.from=etcd"},
		"rights, monitoring": {"plain-cluster", "overlays/plain-cluster",
			[]string{"cluster-rbac", "secrets", "monitoring"}, "clusterRBAC=true,secrets=true,monitoring=true"},
		"monitoring by the service CA": {"openshift-beside", "overlays/openshift-beside",
			[]string{"monitoring", "monitoring-openshift"}, "monitoring=true"},
		"a front that mirrors": {"openshift-registry-front", "overlays/openshift-registry-front",
			[]string{"registry-front-mirror"}, "registryFront.mode=mirror"},
		"a policy": {"plain-cluster", "overlays/plain-cluster", []string{"layer-policy"}, "layerPolicy.enabled=true"},
		"a policy that Gatekeeper asks": {"openshift-beside", "overlays/openshift-beside",
			[]string{"layer-policy", "layer-policy-gatekeeper"}, "layerPolicy.enabled=true,layerPolicy.gatekeeper=true"},
	} {
		t.Run(name, func(t *testing.T) {
			sameObjects(t, render(t, whole, "--values="+valuesOf(row.overlay), "--set="+row.values),
				kustomize(t, withComponents(t, row.from, append(row.components, "labels")...)))
		})
	}
}

// withComponents is a folder for kustomize: one of deploy/ with components.
func withComponents(t *testing.T, from string, components ...string) string {
	t.Helper()
	deploy, err := filepath.Abs("../../deploy")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	relative, err := filepath.Rel(folder, deploy)
	if err != nil {
		t.Fatal(err)
	}
	kustomization := fmt.Sprintf("resources: [%s/%s]\ncomponents:\n", relative, from)
	for _, component := range components {
		kustomization += fmt.Sprintf("- %s/components/%s\n", relative, component)
	}
	if err := os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(kustomization), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestTheChartTakesItsOtherValues(t *testing.T) {
	out := render(t, "--set-json=image={\"repository\":\"registry.example.com/strata\",\"tag\":\"1.2.3\"}",
		"--set=replicas=3,imagePullSecrets[0].name=puller,extraArgs[0]=--v=2,resources.limits.memory=2Gi,labels.team=a",
		"--set=serving.from=secret", "--set-file=serving.caBundle="+filepath.Join(chart, "Chart.yaml"))
	rig.Contains(t, out, "image: registry.example.com/strata:1.2.3\n", "replicas: 3\n", "- name: puller\n", "- --v=2\n",
		"memory: 2Gi\n", "team: a\n", "caBundle: ", "managed-by: Helm\n")
	if strings.Contains(out, "kind: Namespace\n") || strings.Contains(out, "localhost/") {
		t.Errorf("a Namespace, or an image that isn't the values': %s", out)
	}
}

// A release that isn't in namespace strata has nothing there.
func TestTheChartGoesIntoTheReleasesNamespace(t *testing.T) {
	for _, overlay := range []string{"plain-cluster", "openshift-registry-front"} {
		out := render(t, "--namespace=elsewhere", "--values="+valuesOf(overlay), "--set=monitoring=true")
		for _, trace := range []string{"namespace: strata\n", ".strata.svc", "strata/strata-serving"} {
			if strings.Contains(out, trace) {
				t.Errorf("%s: %q in %s", overlay, trace, out)
			}
		}
		rig.Contains(t, out, "namespace: elsewhere\n", "strata.elsewhere.svc", "namespace: kube-system\n")
	}
}

func TestTheChartRefusesValuesThatCannotWork(t *testing.T) {
	for values, why := range map[string]string{
		"records.from=sqlite": "records/from",
		"record.from=kube":    "record",
		"replicas=0":          "replicas",
		"records.etcd.servers[0]=http://etcd:2379": "servers/0",
		"serving.from=secret":                      "serving.caBundle is needed",
		"monitoring=true,serving.from=self-made":   "monitoring needs a certificate",
		"registryFront.mode=route":                 "registryFront needs OpenShift's service CA",
		"layerPolicy.denied[0]=sha256:1":           "layerPolicy/denied/0",
	} {
		if _, err := helm(t, "template", chart, "--set="+values); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", values, err)
		}
	}
}

// What is rendered passes a real kube-apiserver as the overlays do; a release is installed, and taken away again.
func TestTheChartIsAccepted(t *testing.T) {
	c := newControlPlane(t, "etcd-3.6")
	c.kubectl("admin", "create", "namespace", "strata")
	c.kubectl("admin", "label", "namespace", "strata", "pod-security.kubernetes.io/enforce=restricted",
		"pod-security.kubernetes.io/warn=restricted")
	c.kubectl("admin", "create", "namespace", registryNamespace) // OpenShift's
	files, err := filepath.Glob(valuesOf("*"))
	c.check(err)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { c.accepts(t, render(t, whole, "--values="+file)) })
	}

	c.defineCertManager()
	kubeconfig := "--kubeconfig=" + c.path("admin.kubeconfig")
	out, err := helm(t, "install", "strata", chart, kubeconfig, "--namespace=elsewhere", "--create-namespace")
	c.check(err)
	rig.Contains(t, out, "STATUS: deployed", "apiservice/v1.image.openshift.io", "/apis/image.openshift.io/v1\n")
	made := "deployment,statefulset,service,serviceaccount,networkpolicy,cronjob,poddisruptionbudget,role,rolebinding," +
		"clusterrole,clusterrolebinding,apiservice,certificate.cert-manager.io,issuer.cert-manager.io"
	of := []string{"get", made, "--all-namespaces", "--selector=app.kubernetes.io/instance=strata", "--output=name"}
	rig.Contains(t, c.kubectl("admin", of...), "deployment.apps/strata-apiserver", "statefulset.apps/strata-storage",
		"apiservice.apiregistration.k8s.io/v1.image.openshift.io", "certificate.cert-manager.io/strata-serving")

	_, err = helm(t, "uninstall", "strata", kubeconfig, "--namespace=elsewhere", "--wait")
	c.check(err)
	if left := regexp.MustCompile(`(?m)^[a-z.]+/\S+$`).FindAllString(c.kubectl("admin", of...), -1); left != nil {
		t.Errorf("left: %v", left)
	}
	// Snapshots stay.
	c.kubectl("admin", "get", "pvc", "strata-backup", "--namespace=elsewhere")
}
