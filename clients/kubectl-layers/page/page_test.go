package page

import (
	"math"
	"regexp"
	"strings"
	"testing"

	"strata/clients/kubectl-layers/model"
)

func TestATreemapFillsItsBoxAndKeepsWeights(t *testing.T) {
	for _, weights := range [][]float64{{1}, {6, 6, 4, 3, 2, 2, 1}, {0, 5, 0, 1}, {1e-9, 1e9}, {}, {0}} {
		total, area := 0.0, 0.0
		for _, weight := range weights {
			total += weight
		}
		for i, r := range Squarify(weights, 2) {
			area += r.Width * r.Height
			if weights[i] > 0 && math.Abs(r.Width*r.Height/1e4-weights[i]/total) > 1e-9 {
				t.Errorf("%v: %d has %v", weights, i, r)
			}
			if r.X < -1e-6 || r.Y < -1e-6 || r.X+r.Width > 100+1e-6 || r.Y+r.Height > 100+1e-6 {
				t.Errorf("%v: %d is outside: %v", weights, i, r)
			}
		}
		if total > 0 && math.Abs(area-1e4) > 1e-6 {
			t.Errorf("%v: area %v", weights, area)
		}
	}
}

func TestBoxesAreNearlySquare(t *testing.T) {
	for i, r := range Squarify([]float64{6, 6, 4, 3, 2, 2, 1}, 1.5) { // the paper's example
		if ratio := 1.5 * r.Width / r.Height; ratio > 3.1 || ratio < 1/3.1 {
			t.Errorf("%d: %v", i, ratio)
		}
	}
}

var elsewhere = regexp.MustCompile(`(?i)( src=|href=|url\(|@import|https?:)`)

func TestAPageLoadsNothingAndIsNoWayIn(t *testing.T) {
	const evil = `"><script>alert(1)</script>`
	image := &model.Image{Digest: "sha256:1", Layers: []model.Layer{{Digest: evil, Size: 5, MediaType: evil}}}
	stream := &model.Stream{Namespace: evil, Name: evil, Images: map[string]*model.Image{"sha256:1": image}}
	for name, page := range map[string][]byte{
		"tree": Tree(stream, evil, []*model.Image{image}, map[string]string{"sha256:1": evil}),
		"top":  Top(evil, model.ByStream, []model.Usage{{Namespace: evil, Name: evil, Size: 5, Unique: 3, Shared: 2}}),
		"diff": Diffs(evil, evil, []Diff{{From: image, To: image, Changes: model.Diff(image, image)}}),
	} {
		text := string(page)
		if strings.Count(text, "<script>") != 1 || strings.Contains(text, "<script>alert") {
			t.Errorf("%s: %s", name, text)
		}
		if found := elsewhere.FindString(text); found != "" {
			t.Errorf("%s: %s", name, found)
		}
		if !strings.Contains(text, `class="box `) {
			t.Errorf("%s has no box", name)
		}
	}
}

func TestWhatHasNoBytesHasNoBox(t *testing.T) {
	text := string(Top("x", model.ByStream, []model.Usage{{Name: "a", Size: 5, Unique: 5}, {Name: "b"}}))
	if got := strings.Count(text, `class="box `); got != 2 { // a, and its own
		t.Errorf("%d boxes", got)
	}
}
