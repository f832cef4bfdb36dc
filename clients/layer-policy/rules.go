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
	denied string // a denied layer of it or, if it is a multi-arch one, of any below it; empty if there is none
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
	return r.decideWhole(digest, func(digest string) (*made, error) {
		references, ok := layers.Images[digest]
		if !ok {
			return nil, nil
		}
		if references.ImageMissing {
			return nil, errUnknowable
		}
		return &made{references.Layers, references.Manifests}, nil
	})
}

func (r *rules) decideByDigest(ctx context.Context, digest string) decision {
	return r.decideWhole(digest, func(digest string) (*made, error) { return r.imageLayers(ctx, digest) })
}

// made is what an image is made of.
type made struct{ layers, manifests []string }

// decideWhole looks at the image, its children, and theirs. `of` is nil for one that isn't there.
func (r *rules) decideWhole(digest string, of func(digest string) (*made, error)) decision {
	top, err := of(digest)
	if top == nil || err != nil {
		return decision{err: err}
	}
	found := append([]string{}, top.layers...)
	met, next := map[string]bool{digest: true}, append([]string{}, top.manifests...)
	for len(next) > 0 {
		digest, next = next[0], next[1:]
		if met[digest] {
			continue
		}
		met[digest] = true
		if len(met) > 1+maxChildren {
			return decision{err: fmt.Errorf("%w: it has more than %d children", errUnknowable, maxChildren)}
		}
		child, err := of(digest)
		if child == nil && err == nil {
			// It may be pulled once it is there, and then nobody looks at it.
			err = errUnknowable
		}
		if err != nil {
			return decision{err: fmt.Errorf("child %s: %w", digest, err)}
		}
		found = append(found, child.layers...)
		next = append(next, child.manifests...)
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

// imageLayers is nil if there is no such image. That the cluster hasn't got layers.strata.dev is an error.
func (r *rules) imageLayers(ctx context.Context, digest string) (*made, error) {
	if !digestOnly.MatchString(digest) {
		return nil, nil // a list may name anything as its child, another path too
	}
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
	image := &made{manifests: layers.Manifests}
	for _, layer := range layers.Layers {
		image.layers = append(image.layers, layer.Name)
	}
	return image, nil
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
