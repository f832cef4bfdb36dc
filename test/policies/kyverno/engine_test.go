// Package kyverno has what Kyverno's own engine makes of kyverno.yaml of deploy/components/layer-policy.
package kyverno

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	kyvernov1 "github.com/kyverno/kyverno/api/kyverno/v1"
	kyvernov2 "github.com/kyverno/kyverno/api/kyverno/v2"
	"github.com/kyverno/kyverno/pkg/config"
	"github.com/kyverno/kyverno/pkg/engine"
	engineapi "github.com/kyverno/kyverno/pkg/engine/api"
	"github.com/kyverno/kyverno/pkg/engine/factories"
	"github.com/kyverno/kyverno/pkg/engine/jmespath"
	"github.com/kyverno/kyverno/pkg/engine/policycontext"
	imageverifycache "github.com/kyverno/kyverno/pkg/image/verification/cache"
	engineutils "github.com/kyverno/kyverno/pkg/utils/engine"
	policyvalidation "github.com/kyverno/kyverno/pkg/validation/policy"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// judge is Kyverno's engine with the policy, as its admission controller has it.
type judge struct {
	engineapi.Engine
	policy        *kyvernov1.ClusterPolicy
	configuration config.Configuration
	jp            jmespath.Interface
}

// documents are those of the manifest: the policy and the role.
func documents(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../../deploy/components/layer-policy/kyverno.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(text), "\n---\n")
}

// newJudge asks the client what the policy's apiCalls ask.
func newJudge(t *testing.T, client engineapi.Client) *judge {
	t.Helper()
	j := &judge{policy: &kyvernov1.ClusterPolicy{}, configuration: config.NewDefaultConfiguration(false)}
	if err := yaml.UnmarshalStrict([]byte(documents(t)[0]), j.policy); err != nil {
		t.Fatal(err)
	}
	warnings, err := policyvalidation.Validate(j.policy, nil, nil, true, "", "")
	if err != nil || warnings != nil {
		t.Fatal("Kyverno wouldn't take the policy as it is: ", warnings, err)
	}
	j.jp = jmespath.New(j.configuration)
	j.Engine = engine.NewEngine(j.configuration, j.jp, client, nil, imageverifycache.DisabledImageVerifyCache(),
		factories.DefaultContextLoaderFactory(nil), nil, nil)
	return j
}

var pods = metav1.GroupVersionResource{Version: "v1", Resource: "pods"}

// created asks for a new pod of the namespace.
func created(t *testing.T, namespace string, spec corev1.PodSpec) admissionv1.AdmissionRequest {
	t.Helper()
	return admissionv1.AdmissionRequest{Kind: metav1.GroupVersionKind{Version: "v1", Kind: "Pod"}, Resource: pods,
		Operation: admissionv1.Create, Namespace: namespace, Name: "pod", Object: pod(t, namespace, spec)}
}

// updated asks that a pod becomes another, by a subresource if it has a name.
func updated(t *testing.T, subresource string, before, after corev1.PodSpec) admissionv1.AdmissionRequest {
	t.Helper()
	request := created(t, "shop", after)
	request.Operation, request.SubResource, request.OldObject = admissionv1.Update, subresource, pod(t, "shop", before)
	return request
}

func pod(t *testing.T, namespace string, spec corev1.PodSpec) runtime.RawExtension {
	t.Helper()
	raw, err := json.Marshal(&corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: "pod", Namespace: namespace}, Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	return runtime.RawExtension{Raw: raw}
}

// refused tells whether Kyverno's webhook would refuse it, and why.
func (j *judge) refused(t *testing.T, request admissionv1.AdmissionRequest) (bool, string) {
	t.Helper()
	ctx := context.Background()
	about, err := policycontext.NewPolicyContextFromAdmissionRequest(j.jp, request, kyvernov2.RequestInfo{},
		schema.GroupVersionKind{Version: "v1", Kind: "Pod"}, j.configuration)
	if err != nil {
		return true, err.Error() // as the webhook does
	}
	response := j.Validate(ctx, about.WithPolicy(j.policy))
	var said []string
	for _, rule := range response.PolicyResponse.Rules {
		said = append(said, string(rule.Status())+": "+rule.Message())
	}
	return engineutils.BlockRequest(response, j.policy.GetSpec().GetFailurePolicy(ctx)), strings.Join(said, "\n")
}

// running is a pod's spec with an image in each container.
func running(images ...string) corev1.PodSpec {
	return corev1.PodSpec{Containers: containers(images...)}
}

func containers(images ...string) []corev1.Container {
	var all []corev1.Container
	for i, image := range images {
		all = append(all, corev1.Container{Name: string(rune('a' + i)), Image: image})
	}
	return all
}

func withInit(spec corev1.PodSpec, image string) corev1.PodSpec {
	spec.InitContainers = []corev1.Container{{Name: "init", Image: image}}
	return spec
}

func withEphemeral(spec corev1.PodSpec, image string) corev1.PodSpec {
	spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
		Name: "ephemeral", Image: image}}}
	return spec
}

// withVolume has a volume of an image, among others.
func withVolume(spec corev1.PodSpec, image string) corev1.PodSpec {
	spec.Volumes = []corev1.Volume{
		{Name: "empty", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		{Name: "image", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: image}}},
		{Name: "other", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
	}
	return spec
}
