package cmd

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
	"k8s.io/kubectl/pkg/util/templates"

	"strata/clients/kubectl-layers/model"
	"strata/clients/kubectl-layers/page"
	"strata/clients/kubectl-layers/read"
	"strata/clients/kubectl-layers/view"
)

type topCommand struct {
	*common
	print              *view.Flags
	all                bool
	by, selector, html string
}

func newTop(c *common) *cobra.Command {
	t := &topCommand{common: c, print: view.NewFlags(), by: model.ByStream}
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Who takes most: bytes of namespaces, streams or images, shared and their own",
		Long: templates.LongDesc(`
			Who takes most. SIZE is the bytes of all layers, each once; UNIQUE those that nobody else has, which is what
			would be freed; SHARED the rest. By namespace, with layers.strata.dev, nobody means no other namespace of the
			cluster, whether you may see it or not; else nobody of those that are shown.`),
		Example: templates.Examples(`
			# Streams of this namespace
			kubectl layers top

			# Namespaces of the cluster, by what deleting each would free
			kubectl layers top -A --by=namespace --sort-by='{.uniqueSize}'

			# A page with a treemap
			kubectl layers top -A --html=top.html`),
		Args: exactArgs(0, "top takes no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error { return t.run(cmd.Context(), cmd) },
	}
	t.print.AddTo(cmd)
	keys := []string{model.ByNamespace, model.ByStream, model.ByImage}
	cmd.Flags().StringVar(&t.by, "by", t.by, "What is summed up. One of: ("+strings.Join(keys, ", ")+").")
	_ = cmd.RegisterFlagCompletionFunc("by", cobra.FixedCompletions(keys, cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().BoolVarP(&t.all, "all-namespaces", "A", false, "Of all namespaces.")
	cmd.Flags().StringVarP(&t.selector, "selector", "l", "", "Image streams with these labels alone.")
	cmd.Flags().StringVar(&t.html, "html", "", "Write a page with a treemap into this file instead.")
	return cmd
}

func (t *topCommand) run(ctx context.Context, cmd *cobra.Command) error {
	if !slices.Contains([]string{model.ByNamespace, model.ByStream, model.ByImage}, t.by) {
		return cmdutil.UsageErrorf(cmd, "--by=%s is none of namespace, stream and image", t.by)
	}
	if err := t.print.Validate(); err != nil {
		return err
	}
	client, err := t.client()
	if err != nil {
		return err
	}
	scope := read.Scope{Labels: t.selector}
	title := "all namespaces"
	if !t.all {
		if scope.Namespace, err = t.namespace(); err != nil {
			return err
		}
		title = "namespace " + scope.Namespace
	}
	usages, err := t.measure(ctx, client, scope)
	if err != nil {
		return err
	}
	if t.html != "" {
		return t.write(t.html, page.Top(title, t.by, usages))
	}
	return t.print.Print(t.screen, t.table(usages, title))
}

func (t *topCommand) measure(ctx context.Context, client *read.Client, scope read.Scope) ([]model.Usage, error) {
	if t.by == model.ByNamespace && t.selector == "" {
		usages, err := client.Usage(ctx, scope.Namespace)
		if _, missing := read.Missing(err); !missing {
			return usages, err
		}
	}
	streams, err := client.Streams(ctx, scope, t.note)
	if err != nil {
		return nil, err
	}
	return model.Measure(streams, t.by), nil
}

func (t *topCommand) table(usages []model.Usage, title string) *view.Result {
	sizes := []view.Column{{Name: "Layers"}, {Name: "Size"}, {Name: "Unique"}, {Name: "Shared"}}
	result := &view.Result{Empty: fmt.Sprintf("No image streams found in %s.", title)}
	switch t.by {
	case model.ByNamespace:
		result.Columns = slices.Concat([]view.Column{{Name: "Namespace"}, {Name: "Streams"}, {Name: "Images"}}, sizes,
			[]view.Column{{Name: "Missing"}})
	case model.ByStream:
		result.Columns = slices.Concat([]view.Column{{Name: "Namespace"}, {Name: "Stream"}, {Name: "Images"}}, sizes,
			[]view.Column{{Name: "Missing"}})
	default:
		result.Columns = slices.Concat([]view.Column{{Name: "Image"}}, sizes, []view.Column{{Name: "Tags"}})
	}
	for _, u := range usages {
		if t.by == model.ByImage && u.Missing != 0 {
			continue
		}
		result.Rows = append(result.Rows, t.row(u))
	}
	return result
}

func (t *topCommand) row(u model.Usage) view.Row {
	kinds := map[string]string{model.ByNamespace: "NamespaceUsage", model.ByStream: "StreamUsage", model.ByImage: "ImageUsage"}
	row := view.Row{Object: view.Object{Kind: kinds[t.by], Namespace: u.Namespace, Name: u.Name, Fields: map[string]any{
		"images": u.Images, "layers": u.Layers, "size": u.Size, "uniqueSize": u.Unique, "sharedSize": u.Shared}}}
	sizes := []any{u.Layers, view.Bytes(u.Size), view.Bytes(u.Unique), view.Bytes(u.Shared)}
	fields := row.Object.Fields
	switch t.by {
	case model.ByNamespace:
		fields["streams"], fields["missing"] = u.Streams, u.Missing
		row.Cells = slices.Concat([]any{u.Name, u.Streams, u.Images}, sizes, []any{u.Missing})
	case model.ByStream:
		fields["missing"] = u.Missing
		row.Cells = slices.Concat([]any{u.Namespace, u.Name, u.Images}, sizes, []any{u.Missing})
	default:
		delete(fields, "images")
		fields["tags"] = view.Strings(u.Tags)
		name, most := model.Short(u.Name), 2
		if t.print.Output == "wide" {
			name, most = u.Name, len(u.Tags)
		}
		row.Cells = slices.Concat([]any{name}, sizes, []any{view.Some(u.Tags, most)})
	}
	if u.Missing+u.Unreadable != 0 {
		row.Style = view.Warn
	}
	return row
}
