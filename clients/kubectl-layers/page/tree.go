package page

import (
	"fmt"
	"strings"

	"strata/clients/kubectl-layers/model"
	"strata/clients/kubectl-layers/view"
)

// Tree shows what the images of a stream take together: layers that several have, and each one's own. `names` are the
// images' by digest.
func Tree(stream *model.Stream, reference string, images []*model.Image, names map[string]string) []byte {
	users := map[string][]string{}
	for _, image := range images {
		for _, layer := range image.Distinct() {
			users[layer.Digest] = append(users[layer.Digest], names[image.Digest])
		}
	}
	all := &Box{}
	shared := &Box{Kind: Group, Label: "shared"}
	placed := map[string]bool{}
	var groups []*Box
	var rows [][]string
	for _, image := range images {
		own := &Box{Kind: Group, Label: names[image.Digest], Detail: image.Digest}
		for _, layer := range image.Distinct() {
			box := layerBox(layer, Own, "of "+names[image.Digest]+" alone")
			switch {
			case len(users[layer.Digest]) == 1:
				own.add(box)
			case !placed[layer.Digest]:
				placed[layer.Digest] = true
				box.Kind, box.Detail = Shared, layer.Digest+"\nin "+strings.Join(users[layer.Digest], ", ")
				shared.add(box)
			}
		}
		groups = append(groups, own)
		rows = append(rows, row(names[image.Digest], image, own.Bytes))
	}
	for _, group := range append([]*Box{shared}, groups...) {
		all.add(group)
	}
	return content{Title: stream.Namespace + "/" + reference, Map: all, Rows: rows,
		Text: fmt.Sprintf("%s, %s in all: %s shared by several, the rest each one's own.", view.Count(len(images), "image"),
			view.Bytes(all.Bytes), view.Bytes(shared.Bytes)),
		Legend:  []Box{{Kind: Shared, Label: "shared by several images"}, {Kind: Own, Label: "one image's own"}},
		Columns: []string{"Tag", "Image", "Layers", "Size", "Own"}}.render()
}

func row(name string, image *model.Image, own int64) []string {
	if image.Missing {
		return []string{name, image.Digest, "missing", "", ""}
	}
	return []string{name, image.Digest, fmt.Sprint(len(image.Layers)), view.Bytes(image.Size()), view.Bytes(own)}
}

func layerBox(layer model.Layer, kind Kind, detail string) *Box {
	return &Box{Kind: kind, Label: model.Short(layer.Digest), Detail: layer.Digest + "\n" + detail, Digest: layer.Digest,
		Bytes: layer.Size}
}
