package page

import (
	"fmt"
	"html/template"

	"strata/clients/kubectl-layers/model"
)

// Kind of a box, and its colour.
type Kind string

// The kinds.
const (
	Group   Kind = "group"
	Own     Kind = "own"
	Shared  Kind = "shared"
	Kept    Kind = "kept"
	Added   Kind = "added"
	Removed Kind = "removed"
)

// Box of the treemap.
type Box struct {
	Kind          Kind
	Label, Detail string
	Digest        string // boxes of one digest light up together
	Bytes         int64
	Children      []*Box

	// Where it lies in its parent: left, top, width and height in percent.
	Place template.CSS
	Small bool // there is no room for a label
}

func (b *Box) add(child *Box) {
	b.Children = append(b.Children, child)
	b.Bytes = model.AddSize(b.Bytes, child.Bytes)
}

// arrange gives all boxes below this one their places. `width` and `height` are this one's own, of the map's height.
func (b *Box) arrange(width, height float64) {
	const roomForALabel = 0.06 // some 35 pixels
	weights := make([]float64, len(b.Children))
	for i, child := range b.Children {
		weights[i] = float64(child.Bytes)
	}
	for i, rect := range Squarify(weights, width/height) {
		child := b.Children[i]
		child.Place = template.CSS(fmt.Sprintf("left:%.3f%%;top:%.3f%%;width:%.3f%%;height:%.3f%%", rect.X, rect.Y, rect.Width,
			rect.Height))
		ownWidth, ownHeight := width*rect.Width/100, height*rect.Height/100
		child.Small = min(ownWidth, ownHeight) < roomForALabel
		if ownWidth > 0 && ownHeight > 0 {
			child.arrange(ownWidth, ownHeight)
		}
	}
	// What has no bytes has no place.
	kept := b.Children[:0]
	for _, child := range b.Children {
		if child.Bytes > 0 {
			kept = append(kept, child)
		}
	}
	b.Children = kept
}
