package read

import (
	"context"
	"net/url"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"strata/clients/kubectl-layers/api"
	"strata/clients/kubectl-layers/model"
)

// Stream reads an image stream and its layers. Who may read the layers alone gets a stream without tags, if he can do
// without.
func (c *Client) Stream(ctx context.Context, namespace, name string, withoutTags bool) (*model.Stream, error) {
	stream, err := get[api.ImageStream](ctx, c, nil, In(api.ImageGroup, namespace, "imagestreams"), name)
	if withoutTags && apierrors.IsForbidden(err) {
		stream, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	layers, err := c.layers(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	return model.NewStream(stream, layers), nil
}

func (c *Client) layers(ctx context.Context, namespace, name string) (*api.ImageStreamLayers, error) {
	return get[api.ImageStreamLayers](ctx, c, nil, In(api.ImageGroup, namespace, "imagestreams"), name, "layers")
}

// Platforms fills in for which platform images of a stream are, or their children are, where the server tells.
func (c *Client) Platforms(ctx context.Context, stream *model.Stream, images []*model.Image) {
	var mu sync.Mutex // lists may have a child in common
	_ = c.Each(ctx, "images", len(images), func(ctx context.Context, i int) error {
		found, err := c.StreamImage(ctx, stream.Namespace, stream.Name, images[i].Digest)
		if err != nil {
			return nil // It only decorates.
		}
		mu.Lock()
		defer mu.Unlock()
		if metadata := found.DockerImageMetadata; metadata.Architecture != "" && len(images[i].Children) == 0 {
			images[i].Platform = platform(metadata.OS, metadata.Architecture, "")
		}
		for _, manifest := range found.DockerImageManifests {
			if child := stream.Images[manifest.Digest]; child != nil {
				child.Platform = platform(manifest.OS, manifest.Architecture, manifest.Variant)
			}
		}
		return nil
	})
}

func platform(os, architecture, variant string) string {
	if os == "" {
		os = "linux"
	}
	if variant != "" {
		variant = "/" + variant
	}
	return os + "/" + architecture + variant
}

// Scope is which streams are meant: of one namespace or, if it is "", all; that have these labels.
type Scope struct {
	Namespace, Labels, Fields string
}

func (s Scope) query() url.Values {
	query := url.Values{}
	if s.Labels != "" {
		query.Set("labelSelector", s.Labels)
	}
	if s.Fields != "" {
		query.Set("fieldSelector", s.Fields)
	}
	return query
}

// Names lists image streams without what is in them.
func (c *Client) Names(ctx context.Context, scope Scope, each func(namespace, name string)) error {
	return listAs(ctx, c, scope.query(), "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json", func(item *api.ImageStream) {
		each(item.Namespace, item.Name)
	}, In(api.ImageGroup, scope.Namespace, "imagestreams"))
}

// StreamImage is an image as a stream shows it.
func (c *Client) StreamImage(ctx context.Context, namespace, stream, digest string) (*api.Image, error) {
	found, err := get[api.ImageStreamImage](ctx, c, nil, In(api.ImageGroup, namespace, "imagestreamimages"), stream+"@"+digest)
	if err != nil {
		return nil, err
	}
	return &found.Image, nil
}
