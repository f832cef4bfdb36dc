package page

import (
	"fmt"

	"strata/clients/kubectl-layers/model"
	"strata/clients/kubectl-layers/view"
)

// So many the map shows, the largest; the table has all.
const mostBoxes = 200

// Top shows who takes most. What is shared stands at each who has it.
func Top(where, by string, usages []model.Usage) []byte {
	all := &Box{}
	var rows [][]string
	for i, u := range usages {
		name := u.Name
		if u.Namespace != "" {
			name = u.Namespace + "/" + u.Name
		}
		label := name
		if by == model.ByImage {
			label = model.Short(name)
			if len(u.Tags) != 0 {
				label = u.Tags[0]
			}
		}
		if i < mostBoxes {
			box := &Box{Kind: Group, Label: label, Detail: name}
			box.add(&Box{Kind: Own, Label: "own", Detail: "of " + label + " alone", Bytes: u.Unique})
			box.add(&Box{Kind: Shared, Label: "shared", Detail: label + " and others", Bytes: u.Shared})
			all.add(box)
		}
		rows = append(rows, []string{name, fmt.Sprint(u.Images), fmt.Sprint(u.Layers), view.Bytes(u.Size), view.Bytes(u.Unique),
			view.Bytes(u.Shared)})
	}
	drawn := ""
	if len(usages) > mostBoxes {
		drawn = fmt.Sprintf(" The %d largest are drawn.", mostBoxes)
	}
	return content{Title: "Layers by " + by + ", " + where, Map: all, Rows: rows,
		Text: fmt.Sprintf("%s. What is shared stands at each who has it, so it is drawn more than once.%s",
			view.Count(len(usages), by), drawn),
		Legend:  []Box{{Kind: Own, Label: "own: nobody else has it"}, {Kind: Shared, Label: "shared"}},
		Columns: []string{"Name", "Images", "Layers", "Size", "Own", "Shared"}}.render()
}
