package model

// What became of a layer on the way from one image to another.
type Change string

// The changes.
const (
	Kept    Change = ""
	Added   Change = "+"
	Removed Change = "-"
)

// Changed is a layer of either image.
type Changed struct {
	Layer
	Change Change
	// Known already: an added layer that stands elsewhere in the old image, and so isn't pulled again.
	Here bool
}

// Diff leads from one image's layers to another's: their longest common subsequence stays.
func Diff(from, to *Image) []Changed {
	a, b := from.Layers, to.Layers
	// common[i][j] is the length of the longest common subsequence of a[i:] and b[j:].
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i].Digest == b[j].Digest {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	old := map[string]bool{}
	for _, layer := range a {
		old[layer.Digest] = true
	}
	var changes []Changed
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i].Digest == b[j].Digest:
			changes = append(changes, Changed{Layer: b[j]})
			i++
			j++
		case i < len(a) && (j == len(b) || common[i+1][j] >= common[i][j+1]):
			changes = append(changes, Changed{Layer: a[i], Change: Removed})
			i++
		default:
			changes = append(changes, Changed{Layer: b[j], Change: Added, Here: old[b[j].Digest]})
			j++
		}
	}
	return changes
}

// ToPull is the bytes that who has the old image has to fetch for the new one.
func ToPull(changes []Changed) int64 {
	seen := map[string]bool{}
	var size int64
	for _, c := range changes {
		if c.Change == Added && !c.Here && !seen[c.Digest] {
			seen[c.Digest] = true
			size = AddSize(size, c.Size)
		}
	}
	return size
}
