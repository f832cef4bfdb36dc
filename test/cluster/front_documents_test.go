package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strata/test/rig"
)

var inFront = section{adopting, "In front of the registry", []func(*reader, string){
	func(r *reader, _ string) {
		r.issueForService(r.serviceCA, "strata-registry-front")
		r.nodes.settle()
		// Nobody serves the group to kube-apiserver here, so that one can tell who answers.
		r.awaitThroughTheFront("the server could not find the requested resource")
	},
	func(r *reader, _ string) {
		r.registryPods(map[string]int{"canary, led": 1, "default": 2})
	},
	func(r *reader, _ string) {
		r.nodes.settle()
		r.awaitThroughTheFront(`"kind":"ImageStreamLayers"`)
	},
	func(r *reader, _ string) {
		r.registryPods(map[string]int{"default, led": 2})
	},
	func(r *reader, _ string) {
		r.registryPods(map[string]int{"default": 2})
		rig.Eventually(r.t, "the front's pods are gone", func() error {
			r.nodes.work()
			if out := r.kubectl("admin", "get", "pods", "-n", "strata", "-o", "name"); strings.Contains(out, "front") {
				return fmt.Errorf("%s", out)
			}
			return nil
		})
		r.nodes.settle()
		left := r.kubectl("admin", "get", "deployments,services,configmaps,networkpolicies,poddisruptionbudgets,"+
			"serviceaccounts,mutatingadmissionpolicies,mutatingadmissionpolicybindings", "-A", "-o", "name")
		for _, word := range []string{"front", "canary"} {
			if strings.Contains(left, word) {
				r.t.Errorf("left:\n%s", left)
			}
		}
		rig.Contains(r.t, r.kubectl("admin", "get", "deployment", "-n", "strata", "strata-apiserver", "-o", "yaml"),
			"--etcd-prefix=openshift.io")
	},
}}

func TestTheRegistryIsFrontedAsDocumented(t *testing.T) {
	if !rig.InOwnNetwork(t) {
		return
	}
	r := newReader(t, withPolicies...)
	r.startOpenShiftsEtcd()
	r.startOpenShiftsRegistry()
	for _, name := range []string{"policy.yaml", "policy-all.yaml"} {
		text, err := os.ReadFile(r.asBeta(name))
		r.check(err)
		r.check(os.WriteFile(filepath.Join(r.folder, "deploy/components/registry-front", name), text, 0o600))
	}
	r.follow(besideTheEtcd)
	for _, namespace := range []string{"strata", registryNamespace} {
		_, err := r.client.CoreV1().ConfigMaps(namespace).Create(context.Background(), &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: "openshift-service-ca.crt"},
			Data:       map[string]string{"service-ca.crt": string(r.serviceCA.PEM)}}, metav1.CreateOptions{})
		r.check(err)
	}
	r.follow(inFront, takenAway)
}

// startShell runs a pod's shell script where the pod's folders are, but for those of /etc, which are below /run, and at
// the pod's address.
func (n *nodes) startShell(address string, container corev1.Container, folders map[string]string) *rig.Process {
	n.c.t.Helper()
	script := "mount -t tmpfs tmpfs /run\n"
	here := func(path string) string { return strings.Replace(path, "/etc/", "/run/etc/", 1) }
	for path, folder := range folders {
		script += fmt.Sprintf("mkdir -p %s\n", here(path))
		if filepath.Base(path) == "config" {
			script += fmt.Sprintf(`cp %s/* %s/
sed -i "s#/etc/front/#/run/etc/front/#g; s#only='\[::\]:'#true#; s#\${only}8#%s:8#" %[2]s/*
`, folder, here(path), address)
		} else {
			script += fmt.Sprintf("mount --bind %s %s\nchmod 755 %[2]s\n", folder, here(path)) // nginx's workers aren't root.
		}
	}
	// A pipe would be kept open by what outlives the shell.
	log := n.c.path("log-of-" + address)
	script += "exec sh " + here(container.Command[1]) + " >" + log + " 2>&1"
	n.c.t.Cleanup(func() {
		if text, _ := os.ReadFile(log); n.c.t.Failed() {
			n.c.t.Logf("%s said:\n%s", address, text[:min(len(text), 2000)])
		}
	})
	return rig.Start(n.c.t, "env", "KUBERNETES_SERVICE_HOST=127.0.0.1",
		fmt.Sprintf("KUBERNETES_SERVICE_PORT=%d", n.c.kubePort), "unshare", "--mount", "bash", "-euc", script)
}

// awaitThroughTheFront asks for layers by the front's name, as the registry does.
func (r *reader) awaitThroughTheFront(want string) {
	r.t.Helper()
	r.write("service-ca.crt", r.serviceCA.PEM)
	rig.Eventually(r.t, "the front answers "+want, func() error {
		out, _ := exec.Command(rig.Peer(r.t, "kubectl"), "--server=https://strata-registry-front.strata.svc",
			"--certificate-authority="+r.path("service-ca.crt"), "--token=admintoken", "--kubeconfig=/dev/null", "get",
			"--raw", rig.LayersPath("demo", "nodejs")).CombinedOutput()
		if !strings.Contains(string(out), want) {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
}

// registryPods are to be so many, by their label and whether they ask the front.
func (r *reader) registryPods(want map[string]int) {
	r.t.Helper()
	rig.Eventually(r.t, "the registry's pods", func() error {
		pods, err := r.client.CoreV1().Pods(registryNamespace).List(context.Background(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		found := map[string]int{}
		for _, pod := range pods.Items {
			what := pod.Labels["docker-registry"]
			if led(&pod) {
				what += ", led"
			}
			found[what]++
		}
		if fmt.Sprint(found) != fmt.Sprint(want) {
			return fmt.Errorf("%v instead of %v", found, want)
		}
		return nil
	})
}

// startOpenShiftsRegistry makes the registry's Deployment; its pods are ready as soon as they are bound, and gone as soon
// as they are deleted.
func (r *reader) startOpenShiftsRegistry() {
	r.t.Helper()
	r.createNamespace(registryNamespace)
	ctx, cancel := context.WithCancel(context.Background())
	r.t.Cleanup(cancel)
	two, pod := int32(2), registryPod("default", "registry")
	_, err := r.client.AppsV1().Deployments(registryNamespace).Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "image-registry", Labels: pod.Labels},
		Spec: appsv1.DeploymentSpec{Replicas: &two, Selector: &metav1.LabelSelector{MatchLabels: pod.Labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels}, Spec: pod.Spec}},
	}, metav1.CreateOptions{})
	r.check(err)
	go func() {
		for ctx.Err() == nil {
			r.runRegistryPods(ctx)
			time.Sleep(100 * time.Millisecond)
		}
	}()
}

// runRegistryPods is one look; what fails is tried at the next.
func (r *reader) runRegistryPods(ctx context.Context) {
	client := r.client.CoreV1().Pods(registryNamespace)
	pods, err := client.List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	for _, it := range pods.Items {
		switch {
		case it.DeletionTimestamp != nil:
			none := int64(0)
			_ = client.Delete(ctx, it.Name, metav1.DeleteOptions{GracePeriodSeconds: &none})
		case it.Spec.NodeName == "":
			_ = client.Bind(ctx, &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: it.Name},
				Target: corev1.ObjectReference{Kind: "Node", Name: "node"}}, metav1.CreateOptions{})
		case it.Status.Phase != corev1.PodRunning:
			it.Status.Phase = corev1.PodRunning
			it.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue,
				LastTransitionTime: metav1.Now()}}
			_, _ = client.UpdateStatus(ctx, &it, metav1.UpdateOptions{})
		}
	}
}
