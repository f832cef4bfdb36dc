package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"sort"
	"strings"

	imagev1 "github.com/openshift/api/image/v1"
	imageclient "github.com/openshift/client-go/image/clientset/versioned/typed/image/v1"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// rules tell of images whether they contain a denied layer. Whoever asks, the webhook or the provider, is told the same.
type rules struct {
	cluster  imageclient.ImageV1Interface
	registry string
	denied   map[string]bool
}

// image is one of a stream or, without a stream, the one with the digest. The rules don't look at an empty one.
type image struct{ namespace, stream, digest string }

// decision is what the rules say of an image.
type decision struct {
	known  bool   // its layers were looked at
	denied string // a denied layer of it or, if it is a multi-arch one, of any of its children; empty if there is none
	err    error  // why nothing is known, errUnknowable if asking again won't help
}

// What an image is made of can't be told until somebody repairs its record.
var errUnknowable = errors.New("its record can't be read, so its layers aren't known")

const (
	asksAtATime = 8
	maxChildren = 100
)

var digestOnly = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// ofReference is the image of REGISTRY/NAMESPACE/STREAM@sha256:…, empty for all other references.
func (r *rules) ofReference(reference string) image {
	path, ok := strings.CutPrefix(reference, r.registry+"/")
	if !ok {
		return image{}
	}
	repository, digest, ok := strings.Cut(path, "@")
	if !ok {
		return image{}
	}
	// A tag before the digest says nothing.
	repository, _, _ = strings.Cut(repository, ":")
	namespace, name, ok := strings.Cut(repository, "/")
	if !ok || strings.Contains(name, "/") {
		return image{}
	}
	return image{namespace, name, digest}
}

// ofKey takes a digest alone as well.
func (r *rules) ofKey(key string) image {
	if digestOnly.MatchString(key) {
		return image{digest: key}
	}
	return r.ofReference(key)
}

// decide tells of each image, in their order. A stream is asked for once, however many of its images are among them.
func (r *rules) decide(ctx context.Context, images []image) []decision {
	decisions := make([]decision, len(images))
	together := map[image][]int{}
	for i, of := range images {
		if of.stream != "" {
			of.digest = ""
		}
		together[of] = append(together[of], i)
	}
	delete(together, image{})
	var group errgroup.Group
	group.SetLimit(asksAtATime)
	for of, at := range together {
		group.Go(func() error {
			if of.stream == "" {
				decision := r.decideByDigest(ctx, of.digest)
				for _, i := range at {
					decisions[i] = decision
				}
				return nil
			}
			layers, err := r.cluster.ImageStreams(of.namespace).Layers(ctx, of.stream, metav1.GetOptions{})
			for _, i := range at {
				decisions[i] = r.decideInStream(layers, err, images[i].digest)
			}
			return nil
		})
	}
	_ = group.Wait()
	return decisions
}

// A stream that isn't there, or hasn't got the image, is no reason to refuse: the registry won't serve it either.
func (r *rules) decideInStream(layers *imagev1.ImageStreamLayers, err error, digest string) decision {
	if apierrors.IsNotFound(err) {
		return decision{}
	}
	if err != nil {
		return decision{err: err}
	}
	references, ok := layers.Images[digest]
	if !ok {
		return decision{}
	}
	if references.ImageMissing {
		return decision{err: errUnknowable}
	}
	found := append([]string{}, references.Layers...)
	for _, child := range references.Manifests {
		found = append(found, layers.Images[child].Layers...)
	}
	return decision{known: true, denied: r.deniedOf(found)}
}

func (r *rules) decideByDigest(ctx context.Context, digest string) decision {
	layers, err := r.imageLayers(ctx, digest)
	if layers == nil || err != nil {
		return decision{err: err}
	}
	if len(layers.Manifests) > maxChildren {
		return decision{err: fmt.Errorf("%w: it has %d children", errUnknowable, len(layers.Manifests))}
	}
	found := layers.names()
	for _, digest := range layers.Manifests {
		child, err := r.imageLayers(ctx, digest)
		if err != nil {
			return decision{err: fmt.Errorf("child %s: %w", digest, err)}
		}
		// Which children there are is the list's word; those that were never pushed can't be pulled.
		if child != nil {
			found = append(found, child.names()...)
		}
	}
	return decision{known: true, denied: r.deniedOf(found)}
}

// imageLayers is what is read of an imagelayers of layers.strata.dev.
type imageLayers struct {
	Layers []struct {
		Name string `json:"name"`
	} `json:"layers"`
	Manifests  []string `json:"manifests"`
	Unreadable string   `json:"unreadable"`
}

func (l *imageLayers) names() []string {
	var names []string
	for _, layer := range l.Layers {
		names = append(names, layer.Name)
	}
	return names
}

// imageLayers is nil if there is no such image. That the cluster hasn't got layers.strata.dev is an error.
func (r *rules) imageLayers(ctx context.Context, digest string) (*imageLayers, error) {
	result := r.cluster.RESTClient().Get().AbsPath("/apis/layers.strata.dev/v1alpha1/imagelayers", digest).
		SetHeader("Accept", "application/json").Do(ctx)
	err := result.Error() // the Status that came, which Raw doesn't read
	var status apierrors.APIStatus
	if apierrors.IsNotFound(err) && errors.As(err, &status) && status.Status().Details != nil &&
		status.Status().Details.Name == digest {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	text, err := result.Raw()
	if err != nil {
		return nil, err
	}
	layers := &imageLayers{}
	if err := json.Unmarshal(text, layers); err != nil {
		return nil, err
	}
	if layers.Unreadable != "" {
		return nil, errUnknowable
	}
	return layers, nil
}

// deniedOf is the same layer whatever their order.
func (r *rules) deniedOf(layers []string) string {
	sort.Strings(layers)
	for _, layer := range layers {
		if r.denied[layer] {
			return layer
		}
	}
	return ""
}
