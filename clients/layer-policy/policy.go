package main

import (
	"context"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// policy refuses pods with an image that contains a denied layer.
type policy struct {
	rules   *rules
	decoder admission.Decoder
}

func (p *policy) Handle(ctx context.Context, request admission.Request) admission.Response {
	pod := &corev1.Pod{}
	if err := p.decoder.Decode(request, pod); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	references := imagesOf(pod)
	images := make([]image, len(references))
	for i, reference := range references {
		images[i] = p.rules.ofReference(reference)
	}
	for i, decision := range p.rules.decide(ctx, images) {
		if decision.err != nil {
			// Who can't tell doesn't let it pass.
			return admission.Errored(http.StatusInternalServerError, fmt.Errorf("%s: %w", references[i], decision.err))
		}
		if decision.denied != "" {
			return admission.Denied(fmt.Sprintf("image %s contains the denied layer %s", references[i], decision.denied))
		}
	}
	return admission.Allowed("")
}

func imagesOf(pod *corev1.Pod) []string {
	var images []string
	for _, container := range pod.Spec.InitContainers {
		images = append(images, container.Image)
	}
	for _, container := range pod.Spec.Containers {
		images = append(images, container.Image)
	}
	for _, container := range pod.Spec.EphemeralContainers {
		images = append(images, container.Image)
	}
	for _, volume := range pod.Spec.Volumes {
		if volume.Image != nil {
			images = append(images, volume.Image.Reference)
		}
	}
	return images
}
