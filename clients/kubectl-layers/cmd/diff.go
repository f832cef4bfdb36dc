package cmd

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
	"k8s.io/kubectl/pkg/util/templates"

	"strata/clients/kubectl-layers/model"
	"strata/clients/kubectl-layers/page"
	"strata/clients/kubectl-layers/view"
)

type diffCommand struct {
	*common
	print          *view.Flags
	platform, html string
}

func newDiff(c *common) *cobra.Command {
	d := &diffCommand{common: c, print: view.NewFlags()}
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Which layers one image has and another hasn't, and what there is to pull",
		Long: templates.LongDesc(`
			Which layers one image has and another hasn't, and how many bytes there are to pull for the second where the
			first is there already. Images for several platforms are compared platform by platform.

			Exit status: 0 where the layers are the same, 1 where they differ, more where something went wrong.`),
		Example: templates.Examples(`
			# What a new version brings
			kubectl layers diff frontend:v1 frontend:v2

			# Against another namespace's stream, for one platform
			kubectl layers diff shop/tools:stable demo/tools:stable --platform=linux/arm64`),
		Args:              exactArgs(2, "two images are needed: STREAM[:TAG] STREAM[:TAG]"),
		Annotations:       map[string]string{oneMeansDifferent: ""},
		ValidArgsFunction: c.completeReference,
		RunE:              func(cmd *cobra.Command, args []string) error { return d.run(cmd.Context(), args[0], args[1]) },
	}
	d.print.AddTo(cmd)
	cmd.Flags().StringVar(&d.platform, "platform", "", "Of images for several platforms this one alone, such as linux/amd64.")
	cmd.Flags().StringVar(&d.html, "html", "", "Write a page with a treemap into this file instead.")
	return cmd
}

func (d *diffCommand) run(ctx context.Context, a, b string) error {
	if err := d.print.Validate(); err != nil {
		return err
	}
	client, err := d.client()
	if err != nil {
		return err
	}
	streams := map[string]*model.Stream{}
	from, err := d.show(ctx, client, a, streams)
	if err != nil {
		return err
	}
	to, err := d.show(ctx, client, b, streams)
	if err != nil {
		return err
	}
	pairs, err := pairsOf(from, to, d.platform)
	if err != nil {
		return err
	}
	different := false
	var diffs []page.Diff
	result := &view.Result{Columns: []view.Column{{Name: " "}, {Name: "Layer"}, {Name: "Size"}, {Name: "Type", Wide: true}}}
	if len(pairs) > 1 {
		result.Columns = append([]view.Column{{Name: "Platform"}}, result.Columns...)
	}
	for _, pair := range pairs {
		changes := model.Diff(pair.from, pair.to)
		diffs = append(diffs, page.Diff{Platform: pair.platform, From: pair.from, To: pair.to, Changes: changes})
		different = d.add(result, pair, changes, len(pairs) > 1) || different
	}
	if d.html != "" {
		err = d.write(d.html, page.Diffs(from.ref.Full(), to.ref.Full(), diffs))
	} else {
		err = d.print.Print(d.screen, result)
	}
	if err == nil && different {
		err = cmdutil.ErrExit
	}
	return err
}

type pair struct {
	platform string
	from, to *model.Image
}

// pairsOf puts together the images for the same platform. An image for one platform goes with a list's image for it.
func pairsOf(from, to *shown, platform string) ([]pair, error) {
	a, err := from.leaves(platform)
	if err != nil {
		return nil, err
	}
	b, err := to.leaves(platform)
	if err != nil {
		return nil, err
	}
	if len(a) == 1 && len(b) == 1 {
		return []pair{{a[0].Platform, a[0], b[0]}}, nil
	}
	var pairs []pair
	for _, old := range a {
		for _, new := range b {
			if old.Platform != "" && old.Platform == new.Platform {
				pairs = append(pairs, pair{old.Platform, old, new})
			}
		}
	}
	if len(pairs) == 0 {
		return nil, fmt.Errorf("%s and %s have no platform in common that is known; name images by @DIGEST", from.ref, to.ref)
	}
	return pairs, nil
}

func (d *diffCommand) add(result *view.Result, pair pair, changes []model.Changed, several bool) (different bool) {
	styles := map[model.Change]view.Style{model.Added: view.Good, model.Removed: view.Bad}
	what := map[model.Change]string{model.Added: "Added", model.Removed: "Removed", model.Kept: "Kept"}
	for _, change := range changes {
		different = different || change.Change != model.Kept
		digest := model.Short(change.Digest)
		if d.print.Output == "wide" {
			digest = change.Digest
		}
		row := view.Row{Style: styles[change.Change],
			Cells: []any{string(change.Change), digest, view.Bytes(change.Size), change.MediaType},
			Object: view.Object{Kind: "LayerChange", Name: change.Digest, Fields: map[string]any{"change": what[change.Change],
				"size": change.Size, "mediaType": view.Text(change.MediaType), "platform": view.Text(pair.platform)}}}
		if several {
			row.Cells = append([]any{pair.platform}, row.Cells...)
		}
		result.Rows = append(result.Rows, row)
	}
	line := fmt.Sprintf("to pull: %s of %s", view.Bytes(model.ToPull(changes)), view.Bytes(pair.to.Size()))
	if several {
		line = pair.platform + ": " + line
	}
	result.After = append(result.After, line)
	return different
}
