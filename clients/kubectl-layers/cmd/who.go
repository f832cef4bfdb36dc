package cmd

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/kubectl/pkg/util/templates"

	"strata/clients/kubectl-layers/api"
	"strata/clients/kubectl-layers/read"
	"strata/clients/kubectl-layers/view"
)

type whoCommand struct {
	*common
	print *view.Flags
	all   bool
	why   string // layers.strata.dev can't be asked
}

func newWho(c *common) *cobra.Command {
	w := &whoCommand{common: c, print: view.NewFlags()}
	cmd := &cobra.Command{
		Use:   "who DIGEST",
		Short: "Which streams and tags use a layer, a config or an image",
		Long: templates.LongDesc(`
			Which image streams and tags use a blob: a layer, a config or an image, of those that you may see.

			A whole digest is asked of layers.strata.dev, which knows all namespaces. The beginning of a digest is looked
			for in the streams of the namespace, or with -A of all; and so is a whole one where layers.strata.dev isn't
			served.`),
		Example: templates.Examples(`
			# Who has this layer
			kubectl layers who sha256:505ae181d12197e2ace783242c6152aabc63a22cb78a8a91e4fd7d6e14671818

			# As other tables show it, looked for in all namespaces
			kubectl layers who -A 505ae181d121`),
		Args: exactArgs(1, "one digest is needed"),
		RunE: func(cmd *cobra.Command, args []string) error { return w.run(cmd.Context(), args[0]) },
	}
	w.print.AddTo(cmd)
	cmd.Flags().BoolVarP(&w.all, "all-namespaces", "A", false, "Look in the streams of all namespaces.")
	return cmd
}

// A stream that uses the blob.
type user struct {
	namespace, stream string
	tags, earlier     map[string]bool
	images            map[string]bool
	as                map[string]bool // Layer, Config, Manifest
}

type users map[[2]string]*user

func (u users) of(namespace, stream string) *user {
	key := [2]string{namespace, stream}
	if u[key] == nil {
		u[key] = &user{namespace, stream, map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}}
	}
	return u[key]
}

func (w *whoCommand) run(ctx context.Context, digest string) error {
	if err := w.print.Validate(); err != nil {
		return err
	}
	client, err := w.client()
	if err != nil {
		return err
	}
	found := users{}
	if isWhole(digest) {
		err = w.ask(ctx, client, digest, found)
		reason, missing := read.Missing(err)
		switch {
		case err == nil:
			return w.show(found, digest)
		case !missing:
			return err
		}
		w.why = reason
	}
	if err := w.search(ctx, client, digest, found); err != nil {
		return err
	}
	return w.show(found, digest)
}

func isWhole(digest string) bool {
	algorithm, hex, found := strings.Cut(digest, ":")
	return found && (algorithm != "sha256" || len(hex) == 64) && (algorithm != "sha512" || len(hex) == 128)
}

// ask layers.strata.dev.
func (w *whoCommand) ask(ctx context.Context, client *read.Client, digest string, found users) error {
	blob, err := client.Blob(ctx, digest)
	if err != nil {
		return err
	}
	images := make([]*api.ImageLayers, len(blob.Images))
	err = client.Each(ctx, "images", len(images), func(ctx context.Context, i int) error {
		image, err := client.Image(ctx, blob.Images[i].Name)
		if apierrors.IsNotFound(err) {
			return nil // gone meanwhile
		}
		images[i] = image
		return err
	})
	if err != nil {
		return err
	}
	for i, image := range images {
		if image == nil {
			continue
		}
		for _, stream := range append(image.Streams, w.listed(ctx, client, image)...) {
			u := found.of(stream.Namespace, stream.Name)
			u.images[image.Name], u.as[blob.Images[i].As] = true, true
			addAll(u.tags, stream.Tags)
			addAll(u.earlier, stream.EarlierTags)
		}
	}
	return nil
}
