package cmd

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/kubectl/pkg/util/templates"

	"strata/clients/kubectl-layers/model"
	"strata/clients/kubectl-layers/read"
	"strata/clients/kubectl-layers/view"
)

type layersCommand struct {
	*common
	print    *view.Flags
	platform string
}

func newLayers(c *common) *cobra.Command {
	l := &layersCommand{common: c, print: view.NewFlags()}
	cmd := &cobra.Command{
		Use:   "layers [NAMESPACE/]STREAM[:TAG|@DIGEST]",
		Short: "What the images of image streams are made of, and who shares it",
		Long: templates.LongDesc(`
			What the images of image streams are made of, and who shares it.

			Without a command: the layers of one image, base first, how many images have each, and what the image is built
			on. STREAM alone means its tag latest, or the only one. Digests may be cut short.

			Whatever one stream tells works against every server of image.openshift.io/v1. What goes beyond it comes from
			layers.strata.dev where that is served; a line on stderr says so where it isn't.`),
		Example: templates.Examples(`
			# The layers of the image that a tag points at
			kubectl layers frontend:latest

			# Its tags as a tree, and as a page with a treemap
			kubectl layers tree frontend
			kubectl layers tree frontend --html=frontend.html

			# What a new version brings
			kubectl layers diff frontend:v1 frontend:v2

			# Who has a layer; who takes most
			kubectl layers who sha256:505ae181d121
			kubectl layers top -A --by=namespace`),
		Args:              exactArgs(1, "one image stream is needed: STREAM[:TAG]"),
		ValidArgsFunction: c.completeReference,
		RunE:              func(cmd *cobra.Command, args []string) error { return l.run(cmd.Context(), args[0]) },
	}
	l.print.AddTo(cmd)
	cmd.Flags().StringVar(&l.platform, "platform", "", "Of an image for several platforms this one alone, such as linux/amd64.")
	return cmd
}

func (l *layersCommand) run(ctx context.Context, text string) error {
	if err := l.print.Validate(); err != nil {
		return err
	}
	client, err := l.client()
	if err != nil {
		return err
	}
	image, err := l.show(ctx, client, text, map[string]*model.Stream{})
	if err != nil {
		return err
	}
	leaves, err := image.leaves(l.platform)
	if err != nil {
		return err
	}
	shared, err := l.sharing(ctx, client, image.stream, leaves)
	if err != nil {
		return err
	}
	result := &view.Result{Columns: []view.Column{{Name: "#"}, {Name: "Layer"}, {Name: "Size"}, {Name: "Images"},
		{Name: "Also in"}, {Name: "Type", Wide: true}}, Empty: "No layers found."}
	if len(leaves) > 1 {
		result.Columns = append([]view.Column{{Name: "Platform"}}, result.Columns...)
		result.Before = append(result.Before, fmt.Sprintf("%s  %s  %s", image.ref, model.Short(image.image.Digest),
			view.Count(len(leaves), "image")))
	}
	for _, leaf := range leaves {
		if err := l.add(ctx, client, result, image, leaf, shared, len(leaves) > 1); err != nil {
			return err
		}
	}
	return l.print.Print(l.screen, result)
}

func (l *layersCommand) add(ctx context.Context, client *read.Client, result *view.Result, image *shown, leaf *model.Image,
	shared map[string]sharing, several bool) error {
	name := image.ref.String()
	if several {
		name = platformOf(leaf)
	}
	result.Before = append(result.Before, headline(name, leaf, shared))
	for i, layer := range leaf.Layers {
		s := shared[layer.Digest]
		row := view.Row{Cells: []any{i + 1, l.digest(layer.Digest), view.Bytes(layer.Size), s.images, view.Some(s.streams, 2),
			layer.MediaType},
			Object: view.Object{Kind: "Layer", Namespace: image.stream.Namespace, Name: layer.Digest, Fields: map[string]any{
				"position": int64(i + 1), "size": layer.Size, "mediaType": view.Text(layer.MediaType), "image": leaf.Digest,
				"platform": view.Text(leaf.Platform), "images": int64(s.images), "streams": view.Strings(s.streams)}}}
		if s.images <= 1 {
			row.Style = view.Good
		}
		if several {
			row.Cells = append([]any{platformOf(leaf)}, row.Cells...)
		}
		result.Rows = append(result.Rows, row)
	}
	base, err := l.base(ctx, client, image.stream, leaf)
	if base != "" {
		if several {
			base = platformOf(leaf) + ": " + base
		}
		result.After = append(result.After, "BASE  "+base)
	}
	return err
}

func (l *layersCommand) digest(digest string) string {
	if l.print.Output == "wide" {
		return digest
	}
	return model.Short(digest)
}

// headline: "app:v1  sha256:…  linux/amd64  5 layers  153.2MiB  own 4.9MiB".
func headline(name string, image *model.Image, shared map[string]sharing) string {
	var own int64
	for _, layer := range image.Distinct() {
		if shared[layer.Digest].images <= 1 {
			own = model.AddSize(own, layer.Size)
		}
	}
	text := fmt.Sprintf("%s  %s", name, model.Short(image.Digest))
	if image.Platform != "" && image.Platform != name {
		text += "  " + image.Platform
	}
	if image.Missing {
		return text + "  missing"
	}
	return fmt.Sprintf("%s  %s  %s  own %s", text, view.Count(len(image.Layers), "layer"), view.Bytes(image.Size()),
		view.Bytes(own))
}

func platformOf(image *model.Image) string {
	if image.Platform != "" {
		return image.Platform
	}
	return model.Short(image.Digest)
}
