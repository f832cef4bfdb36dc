package main

import (
	"context"
	"fmt"
	"net/http"
	"sort"
	"strings"

	imageclient "github.com/openshift/client-go/image/clientset/versioned/typed/image/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// policy refuses pods with an image that contains a denied layer. Only images of the cluster's own registry, by digest,
// are looked at: REGISTRY/NAMESPACE/STREAM@sha256:…
type policy struct {
	images   imageclient.ImageStreamsGetter
	decoder  admission.Decoder
	registry string
	denied   map[string]bool
}

func (p *policy) Handle(ctx context.Context, request admission.Request) admission.Response {
	pod := &corev1.Pod{}
	if err := p.decoder.Decode(request, pod); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	for _, image := range imagesOf(pod) {
		stream, ok := p.parse(image)
		if !ok {
			continue
		}
		layer, err := p.deniedLayer(ctx, stream)
		if err != nil {
			// Who can't tell doesn't let it pass.
			return admission.Errored(http.StatusInternalServerError, fmt.Errorf("%s: %w", image, err))
		}
		if layer != "" {
			return admission.Denied(fmt.Sprintf("image %s contains the denied layer %s", image, layer))
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
	return images
}

// An image of an image stream.
type streamImage struct{ namespace, name, digest string }

func (p *policy) parse(image string) (streamImage, bool) {
	path, ok := strings.CutPrefix(image, p.registry+"/")
	if !ok {
		return streamImage{}, false
	}
	repository, digest, ok := strings.Cut(path, "@")
	if !ok {
		return streamImage{}, false
	}
	// A tag before the digest says nothing.
	repository, _, _ = strings.Cut(repository, ":")
	namespace, name, ok := strings.Cut(repository, "/")
	if !ok || strings.Contains(name, "/") {
		return streamImage{}, false
	}
	return streamImage{namespace, name, digest}, true
}

// deniedLayer is a denied layer of the image or, if it is a multi-arch one, of any of its children; empty if there is
// none, or no such stream, or the image isn't in it: then the registry won't serve it either.
func (p *policy) deniedLayer(ctx context.Context, image streamImage) (string, error) {
	layers, err := p.images.ImageStreams(image.namespace).Layers(ctx, image.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	references, ok := layers.Images[image.digest]
	if !ok {
		return "", nil
	}
	if references.ImageMissing {
		return "", fmt.Errorf("its record is gone, so its layers aren't known")
	}
	found := append([]string{}, references.Layers...)
	for _, child := range references.Manifests {
		found = append(found, layers.Images[child].Layers...)
	}
	sort.Strings(found)
	for _, layer := range found {
		if p.denied[layer] {
			return layer, nil
		}
	}
	return "", nil
}
