package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// policy refuses pods with an image that contains a denied layer.
type policy struct {
	rules     *rules
	maxImages int
}

// What kube-apiserver takes of a client. An update's review has two pods.
const maxReviewBytes = 3 << 20

func newWebhook(rules *rules, maxImages, atATime int, deadline time.Duration) *bounded {
	return &bounded{handler: &webhook.Admission{Handler: &policy{rules, maxImages}}, turns: make(chan struct{}, atATime),
		deadline: deadline, maxBytes: maxReviewBytes,
		refuse: func(w http.ResponseWriter, code int, why string) { http.Error(w, why, code) }}
}

func (p *policy) Handle(ctx context.Context, request admission.Request) admission.Response {
	references, err := broughtBy(request)
	if err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	if len(references) > p.maxImages {
		return admission.Denied(fmt.Sprintf("%d images: at most %d are looked at", len(references), p.maxImages))
	}
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

// broughtBy are the images that the pod hasn't got already. What runs isn't asked about again, since it may be denied by
// now: its labels and finalizers go on being changed, or it could never be deleted.
func broughtBy(request admission.Request) ([]string, error) {
	images, err := imagesOf(request.Object.Raw)
	if err != nil || request.Operation != admissionv1.Update {
		return images, err
	}
	before, err := imagesOf(request.OldObject.Raw)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(images, func(image string) bool { return slices.Contains(before, image) }), nil
}

// pod is what is read of one. As a corev1.Pod it could take some hundred times the memory of its text.
type pod struct {
	Spec struct {
		InitContainers      []container `json:"initContainers"`
		Containers          []container `json:"containers"`
		EphemeralContainers []container `json:"ephemeralContainers"`
		Volumes             []struct {
			Image struct {
				Reference string `json:"reference"`
			} `json:"image"`
		} `json:"volumes"`
	} `json:"spec"`
}

type container struct {
	Image string `json:"image"`
}

// imagesOf are the pod's, each once.
func imagesOf(text []byte) ([]string, error) {
	var pod pod
	if err := json.Unmarshal(text, &pod); err != nil {
		return nil, err
	}
	var images []string
	for _, containers := range [][]container{pod.Spec.InitContainers, pod.Spec.Containers, pod.Spec.EphemeralContainers} {
		for _, container := range containers {
			if container.Image != "" {
				images = append(images, container.Image)
			}
		}
	}
	for _, volume := range pod.Spec.Volumes {
		if volume.Image.Reference != "" {
			images = append(images, volume.Image.Reference)
		}
	}
	return distinct(images), nil
}
