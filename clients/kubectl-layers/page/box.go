package page

import (
	"fmt"
	"html/template"
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
	Others  Kind = "others"
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
}

func (b *Box) add(child *Box) {
	b.Children = append(b.Children, child)
	b.Bytes += child.Bytes
}

// arrange gives all boxes below this one their places.
func (b *Box) arrange(aspect float64) {
	weights := make([]float64, len(b.Children))
	for i, child := range b.Children {
		weights[i] = float64(child.Bytes)
	}
	for i, rect := range Squarify(weights, aspect) {
		child := b.Children[i]
		child.Place = template.CSS(fmt.Sprintf("left:%.3f%%;top:%.3f%%;width:%.3f%%;height:%.3f%%", rect.X, rect.Y, rect.Width,
			rect.Height))
		if rect.Height > 0 {
			child.arrange(aspect * rect.Width / rect.Height)
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
