package cmd

import (
	"context"
	"fmt"

	"strata/clients/kubectl-layers/model"
	"strata/clients/kubectl-layers/read"
)

// What a reference means: an image of a stream.
type shown struct {
	ref    model.Reference
	stream *model.Stream
	image  *model.Image
}

// show reads what a reference means. `streams` remembers those that were read.
func (c *common) show(ctx context.Context, client *read.Client, text string, streams map[string]*model.Stream) (*shown, error) {
	ref, err := c.reference(text)
	if err != nil {
		return nil, err
	}
	key := ref.Namespace + "/" + ref.Stream
	stream := streams[key]
	if stream == nil {
		if stream, err = client.Stream(ctx, ref.Namespace, ref.Stream, ref.Digest != ""); err != nil {
			return nil, err
		}
		streams[key] = stream
	}
	image, err := stream.Find(ref)
	if err != nil {
		return nil, err
	}
	if image.Missing {
		return nil, fmt.Errorf("image %q of imagestream %q doesn't exist any more", image.Digest, ref.Stream)
	}
	client.Platforms(ctx, stream, []*model.Image{image})
	return &shown{ref, stream, image}, nil
}

// leaves are the images with layers, of one platform if one is wanted.
func (s *shown) leaves(platform string) ([]*model.Image, error) {
	leaves := s.stream.Leaves(s.image)
	if platform == "" {
		return leaves, nil
	}
	for _, leaf := range leaves {
		if leaf.Platform == platform {
			return []*model.Image{leaf}, nil
		}
	}
	var known []string
	for _, leaf := range leaves {
		if leaf.Platform != "" {
			known = append(known, leaf.Platform)
		}
	}
	return nil, fmt.Errorf("%s has no image for %s; platforms: %v", s.ref, platform, known)
}
