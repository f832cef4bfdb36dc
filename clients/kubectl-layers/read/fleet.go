package read

import (
	"context"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"strata/clients/kubectl-layers/api"
	"strata/clients/kubectl-layers/model"
)

// Streams reads the layers of many streams, with their tags: the streams are listed and, where layers.strata.dev is served
// to this user, their layers too; else they are asked for one by one. `note` is told of what can't be had.
func (c *Client) Streams(ctx context.Context, scope Scope, note func(string)) ([]*model.Stream, error) {
	var streams []*api.ImageStream
	err := list(ctx, c, scope.query(), func(stream *api.ImageStream) { streams = append(streams, stream) },
		In(api.ImageGroup, scope.Namespace, "imagestreams"))
	if err != nil {
		return nil, err
	}
	found, err := c.listedLayers(ctx, scope)
	if reason, missing := Missing(err); missing {
		note(reason + "; the layers of each stream are asked for")
		return c.eachStream(ctx, streams, note)
	}
	if err != nil {
		return nil, err
	}
	var read []*model.Stream
	for _, stream := range streams {
		// A stream that came or went between the two lists is left out.
		if layers := found[stream.Namespace+"/"+stream.Name]; layers != nil {
			read = append(read, model.NewStream(stream, layers))
		}
	}
	return read, nil
}

func (c *Client) listedLayers(ctx context.Context, scope Scope) (map[string]*api.ImageStreamLayers, error) {
	if err := c.Group(ctx); err != nil {
		return nil, err
	}
	found := map[string]*api.ImageStreamLayers{}
	err := list(ctx, c, scope.query(), func(layers *api.ImageStreamLayers) {
		found[layers.Namespace+"/"+layers.Name] = layers
	}, In(api.LayersGroup, scope.Namespace, "imagestreamlayers"))
	return found, err
}

func (c *Client) eachStream(ctx context.Context, streams []*api.ImageStream, note func(string)) ([]*model.Stream, error) {
	read := make([]*model.Stream, len(streams))
	var refused, unreadable int
	var mu sync.Mutex
	err := c.Each(ctx, "streams", len(streams), func(ctx context.Context, i int) error {
		layers, err := c.layers(ctx, streams[i].Namespace, streams[i].Name)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			read[i] = model.NewStream(streams[i], layers)
		case apierrors.IsNotFound(err): // gone meanwhile
		case apierrors.IsForbidden(err):
			refused++
		case apierrors.IsInternalError(err) || apierrors.IsInvalid(err):
			unreadable++
		default:
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	noteCount(note, refused, "can't be read by this user")
	noteCount(note, unreadable, "can't be read by the server")
	var kept []*model.Stream
	for _, stream := range read {
		if stream != nil {
			kept = append(kept, stream)
		}
	}
	return kept, nil
}
