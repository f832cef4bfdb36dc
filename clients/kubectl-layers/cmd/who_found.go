package cmd

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"strata/clients/kubectl-layers/api"
	"strata/clients/kubectl-layers/model"
	"strata/clients/kubectl-layers/read"
	"strata/clients/kubectl-layers/view"
)

// listed are the streams of the manifest lists that an image is one of: tags point at those alone.
func (w *whoCommand) listed(ctx context.Context, client *read.Client, image *api.ImageLayers) []api.TaggedImage {
	var streams []api.TaggedImage
	for _, digest := range image.ManifestLists {
		if list, err := client.Image(ctx, digest); err == nil {
			streams = append(streams, list.Streams...)
		}
	}
	return streams
}

// search looks through streams.
func (w *whoCommand) search(ctx context.Context, client *read.Client, digest string, found users) error {
	scope, where := read.Scope{}, "all namespaces"
	if !w.all {
		namespace, err := w.namespace()
		if err != nil {
			return err
		}
		scope.Namespace, where = namespace, "namespace "+namespace
	}
	if w.why != "" {
		w.note(w.why + "; looked for in the streams of " + where)
	}
	streams, err := client.Streams(ctx, scope, func(text string) {
		if w.why == "" || !strings.HasPrefix(text, w.why) {
			w.note(text)
		}
	})
	if err != nil {
		return err
	}
	whole := map[string]bool{}
	for _, stream := range streams {
		for _, image := range stream.Images {
			for name, as := range blobsOf(image) {
				if model.MatchesDigest(name, digest) {
					whole[name] = true
					found.of(stream.Namespace, stream.Name).add(stream, image, as)
				}
			}
		}
	}
	if len(whole) > 1 {
		return fmt.Errorf("%q is the beginning of %d digests: %s", digest, len(whole), view.Some(sorted(whole), 4))
	}
	return nil
}

// blobsOf an image, and what each is to it.
func blobsOf(image *model.Image) map[string]string {
	blobs := map[string]string{image.Digest: "Manifest"}
	if image.Config != "" {
		blobs[image.Config] = "Config"
	}
	for _, layer := range image.Layers {
		blobs[layer.Digest] = "Layer"
	}
	return blobs
}

func (u *user) add(stream *model.Stream, image *model.Image, as string) {
	u.images[image.Digest], u.as[as] = true, true
	for _, tag := range stream.Tags {
		for i, digest := range tag.Images {
			if digest != image.Digest && !stream.Lists(digest, image.Digest) {
				continue
			}
			if i == 0 {
				u.tags[tag.Name] = true
			} else {
				u.earlier[tag.Name] = true
			}
		}
	}
}

func (w *whoCommand) show(found users, digest string) error {
	result := &view.Result{Columns: []view.Column{{Name: "Namespace"}, {Name: "Stream"}, {Name: "Tags"}, {Name: "Images"},
		{Name: "As"}, {Name: "Earlier tags", Wide: true}},
		Empty: fmt.Sprintf("Nobody that you may see uses %s.", digest)}
	for _, u := range found {
		// What a tag points at now it also may have pointed at before.
		for tag := range u.tags {
			delete(u.earlier, tag)
		}
		tags, most := sorted(u.tags), 4
		if w.print.Output == "wide" {
			most = len(tags)
		}
		result.Rows = append(result.Rows, view.Row{
			Cells: []any{u.namespace, u.stream, view.Some(tags, most), len(u.images), view.Some(sorted(u.as), 3),
				view.Some(sorted(u.earlier), 10)},
			Object: view.Object{Kind: "BlobUser", Namespace: u.namespace, Name: u.stream, Fields: map[string]any{
				"tags": view.Strings(tags), "earlierTags": view.Strings(sorted(u.earlier)),
				"images": view.Strings(sorted(u.images)), "as": view.Strings(sorted(u.as))}}})
	}
	sort.Slice(result.Rows, func(i, j int) bool {
		a, b := result.Rows[i].Object, result.Rows[j].Object
		return a.Namespace < b.Namespace || a.Namespace == b.Namespace && a.Name < b.Name
	})
	return w.print.Print(w.screen, result)
}

func sorted(set map[string]bool) []string {
	var values []string
	for value := range set {
		values = append(values, value)
	}
	sort.Strings(values)
	return values
}

func addAll(set map[string]bool, values []string) {
	for _, value := range values {
		set[value] = true
	}
}
