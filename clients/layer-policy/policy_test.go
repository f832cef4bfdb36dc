package main

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestImagesAreThoseOfAllContainersAndVolumes(t *testing.T) {
	got := imagesOf(&corev1.Pod{Spec: corev1.PodSpec{
		InitContainers: []corev1.Container{{Image: "init"}},
		Containers:     []corev1.Container{{Image: "first"}, {Image: "second"}},
		EphemeralContainers: []corev1.EphemeralContainer{
			{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Image: "ephemeral"}}},
		Volumes: []corev1.Volume{
			{VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
			{VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "volume"}}},
		},
	}})
	if want := []string{"init", "first", "second", "ephemeral", "volume"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
