package view

// Branches draws the lines of a tree: `last` tells for each level whether its node is the last of its parent.
func (s Screen) Branches(last []bool) string {
	if !s.Terminal {
		text := ""
		for range last {
			text += "  "
		}
		return text
	}
	text := ""
	for i, isLast := range last {
		switch {
		case i < len(last)-1 && isLast:
			text += "   "
		case i < len(last)-1:
			text += "│  "
		case isLast:
			text += "└─ "
		default:
			text += "├─ "
		}
	}
	return text
}
