package page

import (
	"fmt"

	"strata/clients/kubectl-layers/model"
	"strata/clients/kubectl-layers/view"
)

// Diff leads from one image to another, for a platform if there are several.
type Diff struct {
	Platform string
	From, To *model.Image
	Changes  []model.Changed
}

// Diffs shows what is kept, what comes and what goes.
func Diffs(from, to string, diffs []Diff) []byte {
	kinds := map[model.Change]Kind{model.Kept: Kept, model.Added: Added, model.Removed: Removed}
	all := &Box{}
	var rows [][]string
	var pull int64
	for _, diff := range diffs {
		pull = model.AddSize(pull, model.ToPull(diff.Changes))
		group := &Box{Kind: Group, Label: diff.Platform}
		if len(diffs) == 1 {
			group = all
		}
		seen := map[string]bool{}
		for _, change := range diff.Changes {
			kind := kinds[change.Change]
			rows = append(rows, []string{diff.Platform, string(kind), change.Digest, view.Bytes(change.Size), change.MediaType})
			if !seen[change.Digest] {
				seen[change.Digest] = true
				group.add(layerBox(change.Layer, kind, string(kind)))
			}
		}
		if group != all {
			all.add(group)
		}
	}
	return content{Title: from + " → " + to, Map: all, Rows: rows,
		Text: fmt.Sprintf("%s to pull for %s where %s is there already.", view.Bytes(pull), to, from),
		Legend: []Box{{Kind: Kept, Label: "kept"}, {Kind: Added, Label: "added"}, {Kind: Removed,
			Label: "removed"}},
		Columns: []string{"Platform", "Change", "Layer", "Size", "Type"}}.render()
}
