package cmd

import (
	"context"
	"fmt"
	"sync"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
	"k8s.io/kubectl/pkg/util/templates"

	"strata/clients/kubectl-layers/model"
	"strata/clients/kubectl-layers/read"
	"strata/clients/kubectl-layers/view"
)

type podsCommand struct {
	*common
	print          *view.Flags
	all            bool
	base, selector string
}

func newPods(c *common) *cobra.Command {
	p := &podsCommand{common: c, print: view.NewFlags()}
	cmd := &cobra.Command{
		Use:   "pods --base=[NAMESPACE/]STREAM:TAG",
		Short: "Which pods run images that are built on a base image, and how old it is",
		Long: templates.LongDesc(`
			Which pods run images that are built on what a tag points at, or has pointed at before. BEHIND is how many times
			the tag has moved on since.

			Images of pods are looked up by digest in layers.strata.dev, or else in the stream that their names tell.`),
		Example: templates.Examples(`
			# Pods of this namespace that stand on nodejs:20
			kubectl layers pods --base=openshift/nodejs:20

			# Of all namespaces, the oldest last
			kubectl layers pods -A --base=openshift/nodejs:20 --sort-by='{.behind}'`),
		Args: exactArgs(0, "pods takes no argument, but --base=STREAM:TAG"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if p.base == "" {
				return cmdutil.UsageErrorf(cmd, "--base=STREAM:TAG is needed")
			}
			return p.run(cmd.Context())
		},
	}
	p.print.AddTo(cmd)
	cmd.Flags().StringVar(&p.base, "base", "", "The base image: [NAMESPACE/]STREAM:TAG.")
	_ = cmd.RegisterFlagCompletionFunc("base", c.completeReference)
	cmd.Flags().BoolVarP(&p.all, "all-namespaces", "A", false, "Pods of all namespaces.")
	cmd.Flags().StringVarP(&p.selector, "selector", "l", "", "Pods with these labels alone.")
	return cmd
}

func (p *podsCommand) run(ctx context.Context) error {
	if err := p.print.Validate(); err != nil {
		return err
	}
	client, err := p.client()
	if err != nil {
		return err
	}
	ref, err := p.reference(p.base)
	if err != nil {
		return err
	}
	stream, err := client.Stream(ctx, ref.Namespace, ref.Stream, ref.Digest != "")
	if err != nil {
		return err
	}
	tag, err := baseTag(stream, ref)
	if err != nil {
		return err
	}
	scope := read.Scope{Labels: p.selector}
	if !p.all {
		if scope.Namespace, err = p.namespace(); err != nil {
			return err
		}
	}
	containers, err := client.Containers(ctx, scope)
	if err != nil {
		return err
	}
	images, err := p.imagesOf(ctx, client, containers)
	if err != nil {
		return err
	}
	return p.print.Print(p.screen, p.table(stream, tag, containers, images))
}

// baseTag is the tag whose images are looked for; an image by its digest is a tag of one.
func baseTag(stream *model.Stream, ref model.Reference) (model.Tag, error) {
	image, err := stream.Find(ref)
	if err != nil {
		return model.Tag{}, err
	}
	if ref.Digest != "" {
		return model.Tag{Images: []string{image.Digest}}, nil
	}
	for _, tag := range stream.Tags {
		if (ref.Tag == "" || tag.Name == ref.Tag) && stream.Current(tag) == image {
			return tag, nil
		}
	}
	return model.Tag{Images: []string{image.Digest}}, nil
}

// What a container runs, as far as it can be told.
type running struct {
	ref   model.Reference
	known bool // the reference names a stream
}

func runningOf(c read.Container) running {
	ref, known := model.ParsePullSpec(c.Image)
	if actual, ok := model.ParsePullSpec(c.ImageID); actual.Digest != "" {
		// What runs says its digest; what was asked for may have said only a tag.
		if ok && !known {
			ref, known = actual, true
		}
		ref.Digest = actual.Digest
	}
	return running{ref, known}
}

// imagesOf containers by digest; those that can't be found are nil.
func (p *podsCommand) imagesOf(ctx context.Context, client *read.Client, containers []read.Container) (map[string]*model.Image, error) {
	var wanted []running
	images := map[string]*model.Image{}
	for _, container := range containers {
		r := runningOf(container)
		if _, asked := images[r.ref.Digest]; r.ref.Digest != "" && !asked {
			images[r.ref.Digest] = nil
			wanted = append(wanted, r)
		}
	}
	var mu sync.Mutex
	err := client.Each(ctx, "images", len(wanted), func(ctx context.Context, i int) error {
		image, err := p.find(ctx, client, wanted[i])
		mu.Lock()
		defer mu.Unlock()
		images[wanted[i].ref.Digest] = image
		return err
	})
	return images, err
}

func (p *podsCommand) find(ctx context.Context, client *read.Client, r running) (*model.Image, error) {
	described, err := client.Image(ctx, r.ref.Digest)
	if err == nil && len(described.Manifests) != 0 {
		// Which of a list's images runs depends on the node; they are built alike.
		described, err = client.Image(ctx, described.Manifests[0])
	}
	if err == nil {
		return read.ImageOf(described), nil
	}
	if _, missing := read.Missing(err); !missing && !apierrors.IsNotFound(err) {
		return nil, err
	}
	if !r.known {
		return nil, nil
	}
	stream, err := client.Stream(ctx, r.ref.Namespace, r.ref.Stream, true)
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	image := stream.Images[r.ref.Digest]
	if image != nil && len(image.Children) != 0 {
		image = stream.Leaves(image)[0]
	}
	return image, nil
}

func (p *podsCommand) table(stream *model.Stream, tag model.Tag, containers []read.Container, images map[string]*model.Image) *view.Result {
	result := &view.Result{Columns: []view.Column{{Name: "Namespace"}, {Name: "Pod"}, {Name: "Container"}, {Name: "Image"},
		{Name: "Base"}, {Name: "Behind"}}, Empty: fmt.Sprintf("No pods found on %s/%s.", stream.Namespace, p.base)}
	unknown := 0
	for _, container := range containers {
		ref := runningOf(container).ref
		image := images[ref.Digest]
		if image == nil {
			unknown++
			continue
		}
		generation, found := stream.GenerationOf(image, tag)
		if !found {
			continue
		}
		result.Rows = append(result.Rows, p.row(container, ref, generation))
	}
	if unknown != 0 {
		p.note(fmt.Sprintf("of %s it isn't known what they are made of", view.Count(unknown, "container")))
	}
	return result
}

func (p *podsCommand) row(container read.Container, ref model.Reference, generation model.Generation) view.Row {
	name := model.Short(ref.Digest)
	if ref.Stream != "" && ref.Namespace != "" {
		name = ref.Namespace + "/" + ref.Stream + "@" + name
	}
	behind, style := "current", view.Good
	if generation.Behind > 0 {
		behind, style = view.Count(generation.Behind, "image"), view.Warn
	}
	return view.Row{Style: style,
		Cells: []any{container.Namespace, container.Pod, container.Name, name, model.Short(generation.Image.Digest), behind},
		Object: view.Object{Kind: "Container", Namespace: container.Namespace, Name: container.Pod, Fields: map[string]any{
			"container": container.Name, "image": ref.Digest, "base": generation.Image.Digest,
			"behind": int64(generation.Behind)}}}
}
