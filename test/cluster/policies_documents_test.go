package cluster

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strata/test/rig"
)

const (
	// Of the samples: both are built on the runtime that docs/adopting.md denies, the third isn't.
	samplesRegistry = "image-registry.openshift-image-registry.svc:5000/"
	sampleFrontend  = samplesRegistry +
		"shop/frontend@sha256:7b9ccd9609c4069cc298f5b54b408220801a6e22a16f8f5f500efc6ce38dff17"
	sampleNodejs = samplesRegistry + "demo/nodejs@sha256:8c58b2a40f1fbed4cd66ab198cdc8f886f9c22e952a8034abc96f1f45c5d148d"
	sampleTools  = samplesRegistry + "demo/tools@sha256:62ccef8ec721a5dc966221c6d6c181666f9b1b5348570f0483222641b2b3d032"
)

var policies = section{adopting, "Policies", []func(*reader, string){
	func(r *reader, _ string) {
		r.issueForService(r.serviceCA, "strata-layer-policy")
		r.nodes.settle()
		if err := r.wouldRun(sampleFrontend); err != nil {
			r.t.Errorf("nobody asks the webhook yet: %v", err)
		}
	},
	func(r *reader, _ string) {
		r.injectIntoWebhook(r.serviceCA, "strata-layer-policy", "service.beta.openshift.io/inject-cabundle", "true")
		rig.EventuallyWithin(r.t, time.Minute, "the webhook refuses the denied layer", func() error {
			if err := r.wouldRun(sampleFrontend); err == nil || !strings.Contains(err.Error(), "contains the denied layer") {
				return fmt.Errorf("got %v", err)
			}
			return nil
		})
		if err := r.wouldRun(sampleNodejs); err == nil {
			r.t.Error("the image with the denied layer itself passes")
		}
		if err := r.wouldRun(sampleTools); err != nil {
			r.t.Error(err)
		}
	},
	func(r *reader, _ string) {
		rig.Contains(r.t, r.kubectl("admin", "get", "clusterpolicies.kyverno.io", "strata-built-on-allowed-bases", "-o",
			"jsonpath={.spec.rules[0].context[0].variable.value}"), `"nodejs"`, `"demo"`)
	},
	func(r *reader, _ string) {
		if err := r.wouldRun(sampleFrontend); err != nil {
			r.t.Errorf("the webhook was taken away: %v", err)
		}
		rig.Eventually(r.t, "the program's pods are gone", func() error {
			r.nodes.work()
			if out := r.kubectl("admin", "get", "pods", "-n", "strata", "-o", "name"); strings.Contains(out, "policy") {
				return fmt.Errorf("%s", out)
			}
			return nil
		})
		r.nodes.settle()
		left := r.kubectl("admin", "get", "deployments,services,configmaps,networkpolicies,poddisruptionbudgets,"+
			"serviceaccounts,clusterroles,clusterrolebindings,validatingwebhookconfigurations,clusterpolicies.kyverno.io",
			"-A", "-o", "name")
		if found := regexp.MustCompile(`(?m)^\S+/strata\S*(policy|built|kyverno).*$`).FindAllString(left, -1); found != nil {
			r.t.Errorf("left: %q", found)
		}
	},
}}

// wouldRun tells why no pod with the image may be made.
func (c *cluster) wouldRun(image string) error {
	_, err := c.client.CoreV1().Pods("default").Create(context.Background(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "pod"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: image}}},
	}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

func TestPoliciesAreUsedAsDocumented(t *testing.T) {
	if !rig.InOwnNetwork(t) {
		return
	}
	r := newReader(t)
	r.define("kyverno", "kyverno.io/v1 ClusterPolicy")
	r.startOpenShiftsAPI()
	r.kubectl("admin", "create", "clusterrole", "system:image-puller", "--verb=get",
		"--resource=imagestreams.image.openshift.io/layers")
	r.follow(besideTheAPI, policies, takenAway)
}
