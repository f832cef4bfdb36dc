package cmd

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"k8s.io/kubectl/pkg/util/templates"

	"strata/clients/kubectl-layers/model"
	"strata/clients/kubectl-layers/page"
	"strata/clients/kubectl-layers/view"
)

type treeCommand struct {
	*common
	print           *view.Flags
	history, layers bool
	html            string
}

func newTree(c *common) *cobra.Command {
	t := &treeCommand{common: c, print: view.NewFlags()}
	t.print.Unsortable = true
	cmd := &cobra.Command{
		Use:   "tree [NAMESPACE/]STREAM[:TAG]",
		Short: "The tags of a stream, their images and what these share",
		Long: templates.LongDesc(`
			The tags of a stream, the image of each, those of each platform, and how much of it no other image of the tree
			has.`),
		Example: templates.Examples(`
			# All tags, with the images that they pointed at before
			kubectl layers tree frontend --history

			# One tag, down to the layers
			kubectl layers tree frontend:v1 --layers

			# A page with a treemap of shared and own bytes
			kubectl layers tree frontend --html=frontend.html`),
		Args:              exactArgs(1, "one image stream is needed: STREAM[:TAG]"),
		ValidArgsFunction: c.completeReference,
		RunE:              func(cmd *cobra.Command, args []string) error { return t.run(cmd.Context(), args[0]) },
	}
	t.print.AddTo(cmd)
	cmd.Flags().BoolVar(&t.history, "history", false, "Show what tags pointed at before, too: TAG~1 is the one before.")
	cmd.Flags().BoolVar(&t.layers, "layers", false, "Show each image's layers.")
	cmd.Flags().StringVar(&t.html, "html", "", "Write a page with a treemap into this file instead.")
	return cmd
}

// A node of the tree.
type node struct {
	name     string
	tag      string
	image    *model.Image // nil: a tag without one
	layer    *model.Layer
	position int
	children []*node
}

func (t *treeCommand) run(ctx context.Context, text string) error {
	if err := t.print.Validate(); err != nil {
		return err
	}
	ref, err := t.reference(text)
	if err != nil {
		return err
	}
	client, err := t.client()
	if err != nil {
		return err
	}
	stream, err := client.Stream(ctx, ref.Namespace, ref.Stream, ref.Digest != "")
	if err != nil {
		return err
	}
	root, err := t.nodes(stream, ref)
	if err != nil {
		return err
	}
	client.Platforms(ctx, stream, tagged(root))
	for _, child := range root.children {
		t.grow(stream, child)
	}
	images := leavesOf(root)
	if t.html != "" {
		return t.write(t.html, page.Tree(stream, ref.String(), images, namesOf(root)))
	}
	result := &view.Result{Columns: []view.Column{{Name: "Name"}, {Name: "Image"}, {Name: "Layers"}, {Name: "Size"}, {Name: "Own"},
		{Name: "Shared with"}, {Name: "Type", Wide: true}}}
	t.addRows(result, root, nil, owners(images), namesOf(root))
	if t.print.Output == "name" {
		// A stream and its tags have no names of their own to print.
		result.Rows = result.Rows[1:]
	}
	return t.print.Print(t.screen, result)
}

func (t *treeCommand) nodes(stream *model.Stream, ref model.Reference) (*node, error) {
	root := &node{name: stream.Name}
	if ref.Digest != "" {
		image, err := stream.Find(ref)
		if err != nil {
			return nil, err
		}
		root.children = append(root.children, &node{name: "@" + model.Short(image.Digest), image: image})
		return root, nil
	}
	if ref.Tag != "" {
		if _, err := stream.Find(ref); err != nil {
			return nil, err
		}
	}
	for _, tag := range stream.Tags {
		if ref.Tag != "" && tag.Name != ref.Tag {
			continue
		}
		if len(tag.Images) == 0 {
			root.children = append(root.children, &node{name: tag.Name, tag: tag.Name})
		}
		for i, digest := range tag.Images {
			name := tag.Name
			if i > 0 {
				name = fmt.Sprintf("%s~%d", tag.Name, i)
			}
			if i == 0 || t.history {
				image := stream.Images[digest]
				if image == nil {
					image = &model.Image{Digest: digest, Missing: true}
				}
				root.children = append(root.children, &node{name: name, tag: tag.Name, image: image})
			}
		}
	}
	return root, nil
}

// tagged are the images of the tree's tags, each once.
func tagged(root *node) []*model.Image {
	var images []*model.Image
	for _, child := range root.children {
		if child.image != nil && !child.image.Missing && !slices.Contains(images, child.image) {
			images = append(images, child.image)
		}
	}
	return images
}

// grow adds the images of platforms and the layers.
func (t *treeCommand) grow(stream *model.Stream, n *node) {
	if n.image == nil {
		return
	}
	if len(n.image.Children) != 0 {
		for _, leaf := range stream.Leaves(n.image) {
			child := &node{name: platformOf(leaf), tag: n.tag, image: leaf}
			t.grow(stream, child)
			n.children = append(n.children, child)
		}
		return
	}
	if t.layers {
		for i := range n.image.Layers {
			n.children = append(n.children, &node{name: fmt.Sprint(i + 1), tag: n.tag, layer: &n.image.Layers[i], image: n.image,
				position: i + 1})
		}
	}
}

// leavesOf a tree are its images with layers, each once.
func leavesOf(n *node) []*model.Image {
	var images []*model.Image
	seen := map[string]bool{}
	var walk func(n *node)
	walk = func(n *node) {
		if n.image != nil && n.layer == nil && len(n.image.Children) == 0 && !seen[n.image.Digest] {
			seen[n.image.Digest] = true
			images = append(images, n.image)
		}
		for _, child := range n.children {
			walk(child)
		}
	}
	walk(n)
	return images
}

// namesOf images: the tags that point at each, and the platform.
func namesOf(n *node) map[string]string {
	all := map[string][]string{}
	for _, child := range n.children {
		if child.image == nil {
			continue
		}
		for _, leaf := range append(child.children, child) {
			name := child.name
			if leaf != child {
				name += " " + leaf.name
			}
			if leaf.image != nil && leaf.layer == nil {
				all[leaf.image.Digest] = append(all[leaf.image.Digest], name)
			}
		}
	}
	names := map[string]string{}
	for digest, several := range all {
		names[digest] = view.Some(several, 3)
	}
	return names
}
