package read

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strata/clients/kubectl-layers/api"
)

// Tags of a stream; none where it can't be read.
func (c *Client) Tags(ctx context.Context, namespace, stream string) []string {
	found, err := get[api.ImageStream](ctx, c, nil, In(api.ImageGroup, namespace, "imagestreams"), stream)
	if err != nil {
		return nil
	}
	var tags []string
	for _, history := range found.Status.Tags {
		tags = append(tags, history.Tag)
	}
	return tags
}

// Namespaces by name; none where they can't be listed.
func (c *Client) Namespaces(ctx context.Context) []string {
	var names []string
	_ = list(ctx, c, nil, func(namespace *metav1.PartialObjectMetadata) { names = append(names, namespace.Name) },
		"/api/v1/namespaces")
	return names
}
