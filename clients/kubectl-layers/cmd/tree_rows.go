package cmd

import (
	"fmt"

	"strata/clients/kubectl-layers/model"
	"strata/clients/kubectl-layers/view"
)

// owners of each layer, among images.
func owners(images []*model.Image) map[string][]*model.Image {
	found := map[string][]*model.Image{}
	for _, image := range images {
		for _, layer := range image.Distinct() {
			found[layer.Digest] = append(found[layer.Digest], image)
		}
	}
	return found
}

func (t *treeCommand) addRows(result *view.Result, n *node, last []bool, owners map[string][]*model.Image, names map[string]string) {
	row := t.row(n, owners, names)
	row.Cells = append([]any{t.screen.Branches(last) + n.name}, row.Cells...)
	result.Rows = append(result.Rows, row)
	for i, child := range n.children {
		t.addRows(result, child, append(last[:len(last):len(last)], i == len(n.children)-1), owners, names)
	}
}

func (t *treeCommand) row(n *node, owners map[string][]*model.Image, names map[string]string) view.Row {
	fields := map[string]any{"tag": view.Text(n.tag)}
	object := view.Object{Kind: "Image", Name: n.name, Fields: fields}
	digest := model.Short
	if t.print.Output == "wide" {
		digest = func(text string) string { return text }
	}
	switch {
	case n.layer != nil:
		object.Kind, object.Name = "Layer", n.layer.Digest
		fields["image"], fields["position"], fields["size"] = n.image.Digest, int64(n.position), n.layer.Size
		row := view.Row{Object: object, Cells: []any{digest(n.layer.Digest), "", view.Bytes(n.layer.Size), "", "", n.layer.MediaType}}
		if others := len(owners[n.layer.Digest]) - 1; others > 0 {
			row.Cells[4] = view.Count(others, "image")
			row.Style = view.Dim
		}
		return row
	case n.image == nil && n.tag == "":
		object.Kind = "ImageStream"
		return view.Row{Object: object, Cells: []any{"", "", "", "", "", ""}}
	case n.image == nil:
		object.Kind = "Tag"
		return view.Row{Object: object, Style: view.Warn, Cells: []any{"none yet", "", "", "", "", ""}}
	}
	object.Name = n.image.Digest
	fields["platform"], fields["mediaType"] = view.Text(n.image.Platform), view.Text(n.image.MediaType)
	switch {
	case n.image.Missing:
		fields["missing"] = true
		return view.Row{Object: object, Style: view.Warn, Cells: []any{digest(n.image.Digest), "missing", "", "", "", ""}}
	case len(n.image.Children) != 0:
		fields["images"] = view.Strings(n.image.Children)
		return view.Row{Object: object, Cells: []any{digest(n.image.Digest), "", "", "", "", n.image.MediaType}}
	}
	own, with := ownOf(n.image, owners, names)
	fields["layers"], fields["size"], fields["ownSize"] = int64(len(n.image.Layers)), n.image.Size(), own
	return view.Row{Object: object, Cells: []any{digest(n.image.Digest), len(n.image.Layers), view.Bytes(n.image.Size()),
		view.Bytes(own), with, n.image.MediaType}}
}

// ownOf is the bytes of layers that no other image has, and who shares most of the others: "3 layers with v1".
func ownOf(image *model.Image, owners map[string][]*model.Image, names map[string]string) (int64, string) {
	var own int64
	shared := map[*model.Image]int{}
	var order []*model.Image
	for _, layer := range image.Distinct() {
		if len(owners[layer.Digest]) <= 1 {
			own = model.AddSize(own, layer.Size)
		}
		for _, other := range owners[layer.Digest] {
			if other != image {
				if shared[other] == 0 {
					order = append(order, other)
				}
				shared[other]++
			}
		}
	}
	var most *model.Image
	for _, other := range order {
		if most == nil || shared[other] > shared[most] {
			most = other
		}
	}
	if most == nil {
		return own, ""
	}
	return own, fmt.Sprintf("%s with %s", view.Count(shared[most], "layer"), names[most.Digest])
}
