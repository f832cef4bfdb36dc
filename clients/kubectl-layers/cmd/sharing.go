package cmd

import (
	"context"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"strata/clients/kubectl-layers/model"
	"strata/clients/kubectl-layers/read"
)

// How many images have a layer, and which other streams reach it.
type sharing struct {
	images  int
	streams []string
}

// sharing of layers: in the whole cluster, as far as the user may see it, or within the stream where layers.strata.dev
// can't tell.
func (c *common) sharing(ctx context.Context, client *read.Client, stream *model.Stream, images []*model.Image) (map[string]sharing, error) {
	layers := layersOf(images)
	found := map[string]sharing{}
	err := client.Group(ctx)
	if err == nil {
		var mu sync.Mutex
		err = client.Each(ctx, "layers", len(layers), func(ctx context.Context, i int) error {
			users, err := client.Blob(ctx, layers[i].Digest)
			if apierrors.IsNotFound(err) {
				return nil
			}
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			s := sharing{images: len(users.Images)}
			for _, other := range users.Streams {
				if other.Namespace != stream.Namespace || other.Name != stream.Name {
					s.streams = append(s.streams, other.Namespace+"/"+other.Name)
				}
			}
			found[layers[i].Digest] = s
			return nil
		})
	}
	if reason, missing := read.Missing(err); missing {
		c.note(reason + "; sharing is told within the stream alone")
		return sharingWithin(stream), nil
	}
	return found, err
}

func sharingWithin(stream *model.Stream) map[string]sharing {
	found := map[string]sharing{}
	for _, image := range stream.Images {
		for _, layer := range image.Distinct() {
			s := found[layer.Digest]
			s.images++
			found[layer.Digest] = s
		}
	}
	return found
}

// layersOf images, each once.
func layersOf(images []*model.Image) []model.Layer {
	all := model.Image{}
	for _, image := range images {
		all.Layers = append(all.Layers, image.Layers...)
	}
	return all.Distinct()
}
