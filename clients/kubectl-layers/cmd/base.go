package cmd

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"strata/clients/kubectl-layers/model"
	"strata/clients/kubectl-layers/read"
	"strata/clients/kubectl-layers/view"
)

// base says what an image is built on, "" where nothing is known.
func (c *common) base(ctx context.Context, client *read.Client, stream *model.Stream, image *model.Image) (string, error) {
	described, err := client.Image(ctx, image.Digest)
	if _, missing := read.Missing(err); missing || apierrors.IsNotFound(err) {
		if base := stream.BaseOf(image); base != nil {
			return fmt.Sprintf("%s  %s", model.Short(base.Digest), view.Count(len(base.Layers), "layer")), nil
		}
		return "", nil
	}
	if err != nil || described.Base == nil || len(described.Base.Images) == 0 {
		return "", err
	}
	names, err := c.tagsOf(ctx, client, described.Base.Images[0])
	if err != nil {
		return "", err
	}
	text := model.Short(described.Base.Images[0])
	if len(names) != 0 {
		text += "  " + view.Some(names, 1)
	}
	return fmt.Sprintf("%s  %s", text, view.Count(described.Base.Layers, "layer")), nil
}

// tagsOf are the tags that point at an image, as NAMESPACE/STREAM:TAG; streams alone where tags pointed at it before.
func (c *common) tagsOf(ctx context.Context, client *read.Client, digest string) ([]string, error) {
	image, err := client.Image(ctx, digest)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names, before []string
	for _, stream := range image.Streams {
		for _, tag := range stream.Tags {
			names = append(names, stream.Namespace+"/"+stream.Name+":"+tag)
		}
		if len(stream.Tags) == 0 {
			before = append(before, stream.Namespace+"/"+stream.Name)
		}
	}
	return append(names, before...), nil
}
