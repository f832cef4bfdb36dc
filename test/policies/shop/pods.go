package shop

import (
	"encoding/json"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Created asks for a new pod of the namespace.
func Created(t *testing.T, namespace string, spec corev1.PodSpec) admissionv1.AdmissionRequest {
	t.Helper()
	return admissionv1.AdmissionRequest{
		Kind:      metav1.GroupVersionKind{Version: "v1", Kind: "Pod"},
		Resource:  metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
		Operation: admissionv1.Create, Namespace: namespace, Name: "pod", Object: Pod(t, namespace, spec)}
}

// Updated asks that a pod of the namespace becomes another, by a subresource if it has a name.
func Updated(t *testing.T, namespace, subresource string, before, after corev1.PodSpec) admissionv1.AdmissionRequest {
	t.Helper()
	request := Created(t, namespace, after)
	request.Operation, request.SubResource, request.OldObject = admissionv1.Update, subresource, Pod(t, namespace, before)
	return request
}

// Pod is one as JSON.
func Pod(t *testing.T, namespace string, spec corev1.PodSpec) runtime.RawExtension {
	t.Helper()
	raw, err := json.Marshal(&corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: "pod", Namespace: namespace}, Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	return runtime.RawExtension{Raw: raw}
}

// Running is a pod's spec with an image in each container.
func Running(images ...string) corev1.PodSpec {
	var spec corev1.PodSpec
	for i, image := range images {
		spec.Containers = append(spec.Containers, corev1.Container{Name: string(rune('a' + i)), Image: image})
	}
	return spec
}

func WithInit(spec corev1.PodSpec, image string) corev1.PodSpec {
	spec.InitContainers = []corev1.Container{{Name: "init", Image: image}}
	return spec
}

func WithEphemeral(spec corev1.PodSpec, image string) corev1.PodSpec {
	spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
		Name: "ephemeral", Image: image}}}
	return spec
}

// WithVolume has a volume of an image, among others.
func WithVolume(spec corev1.PodSpec, image string) corev1.PodSpec {
	spec.Volumes = []corev1.Volume{
		{Name: "empty", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		{Name: "image", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: image}}},
		{Name: "other", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
	}
	return spec
}
