package read

import (
	"context"

	"strata/clients/kubectl-layers/api"
	"strata/clients/kubectl-layers/model"
)

// Blob is who uses a blob, of what this user may see.
func (c *Client) Blob(ctx context.Context, digest string) (*api.BlobUsers, error) {
	return fromGroup[api.BlobUsers](ctx, c, "blobs", digest)
}

// Image is what an image is made of and built on, and which tags point at it.
func (c *Client) Image(ctx context.Context, digest string) (*api.ImageLayers, error) {
	return fromGroup[api.ImageLayers](ctx, c, "imagelayers", digest)
}

// Usage of one namespace, or of all if it is "".
func (c *Client) Usage(ctx context.Context, namespace string) ([]model.Usage, error) {
	if err := c.Group(ctx); err != nil {
		return nil, err
	}
	var usages []model.Usage
	err := list(ctx, c, nil, func(u *api.LayerUsage) {
		usages = append(usages, model.Usage{Name: u.Name, Streams: u.ImageStreams, Images: u.Images, Layers: u.Layers,
			Size: u.Size, Unique: u.UniqueSize, Shared: u.SharedSize, Missing: u.MissingImages,
			Unreadable: u.UnreadableImages + u.UnreadableImageStreams})
	}, In(api.LayersGroup, namespace, "layerusages"))
	model.Largest(usages)
	return usages, err
}

func fromGroup[T any](ctx context.Context, c *Client, resource, name string) (*T, error) {
	if err := c.Group(ctx); err != nil {
		return nil, err
	}
	return get[T](ctx, c, nil, api.LayersGroup, resource, name)
}

// ImageOf is the model's view of what layers.strata.dev says of an image.
func ImageOf(i *api.ImageLayers) *model.Image {
	image := &model.Image{Digest: i.Name, MediaType: i.MediaType, Children: i.Manifests, Missing: i.Unreadable != ""}
	for _, layer := range i.Layers {
		image.Layers = append(image.Layers, model.Layer{Digest: layer.Name, Size: layer.Size, MediaType: layer.MediaType})
	}
	return image
}
