package model

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// image of layers by their letters: "abc"; a layer's size is its letter's place in the alphabet.
func image(digest, layers string) *Image {
	i := &Image{Digest: digest}
	for _, letter := range layers {
		i.Layers = append(i.Layers, Layer{Digest: string(letter), Size: int64(letter - 'a' + 1)})
	}
	return i
}

func stream(name string, images ...*Image) *Stream {
	s := &Stream{Namespace: "demo", Name: name, Images: map[string]*Image{}}
	for _, i := range images {
		s.Images[i.Digest] = i
	}
	return s
}

func TestADiffKeepsWhatBothHave(t *testing.T) {
	for _, c := range []struct {
		from, to, want string
		pull           int64
	}{
		{"abc", "abc", "abc", 0},
		{"ab", "abc", "ab+c", 3},
		{"abc", "ab", "ab-c", 0},
		{"abc", "abd", "ab-c+d", 4},
		{"", "ab", "+a+b", 3},
		{"ab", "", "-a-b", 0},
		{"abc", "bca", "-abc+a", 0}, // a is there already
		{"a", "abb", "a+b+b", 2},    // fetched once
		{"xabc", "yabc", "-x+yabc", 25},
	} {
		changes := Diff(image("1", c.from), image("2", c.to))
		var got strings.Builder
		for _, change := range changes {
			fmt.Fprintf(&got, "%s%s", change.Change, change.Digest)
		}
		if got.String() != c.want || ToPull(changes) != c.pull {
			t.Errorf("%s to %s: %s, to pull %d", c.from, c.to, got.String(), ToPull(changes))
		}
	}
}

func TestALayerCountsOnceInAnImage(t *testing.T) {
	if size := image("1", "aba").Size(); size != 3 {
		t.Error(size)
	}
}

func TestSumsEndAtTheMostThatCanBeSaidAndNeverBelowNothing(t *testing.T) {
	old, huge := image("1", ""), &Image{Digest: "2", Layers: []Layer{{Digest: "a", Size: math.MaxInt64},
		{Digest: "b", Size: math.MaxInt64}, {Digest: "c", Size: -5}}}
	if size, pull := huge.Size(), ToPull(Diff(old, huge)); size != math.MaxInt64 || pull != math.MaxInt64 {
		t.Error(size, pull)
	}
	less := &Image{Digest: "3", Layers: []Layer{{Digest: "c", Size: -5}, {Digest: "d", Size: math.MinInt64}, {Digest: "e", Size: 1}}}
	if size := less.Size(); size != 1 {
		t.Error(size)
	}
	for _, u := range Measure([]*Stream{stream("app", huge), stream("less", less)}, ByStream) {
		want := map[string]string{"app": "9223372036854775807 9223372036854775807 0", "less": "1 1 0"}[u.Name]
		if got := fmt.Sprint(u.Size, u.Unique, u.Shared); got != want {
			t.Errorf("%s: %s", u.Name, got)
		}
	}
}

func TestOfANamespacesStreamsThatDisagreeAboutALayerTheFirstCounts(t *testing.T) {
	one, two := stream("one", image("1", "a")), stream("two", &Image{Digest: "2", Layers: []Layer{{Digest: "a", Size: 30}}})
	for _, u := range Measure([]*Stream{one, two}, ByNamespace) {
		if u.Layers != 1 || u.Size != 1 {
			t.Errorf("%+v", u)
		}
	}
}

func TestABaseIsTheLongestBeginning(t *testing.T) {
	s := stream("app", image("a", "a"), image("ab", "ab"), image("abc", "abc"), image("ax", "ax"), image("empty", ""))
	for image, want := range map[string]string{"abc": "ab", "ab": "a", "ax": "a", "a": "", "empty": ""} {
		got := ""
		if base := s.BaseOf(s.Images[image]); base != nil {
			got = base.Digest
		}
		if got != want {
			t.Errorf("%s stands on %q", image, got)
		}
	}
}

func TestGenerationsTellHowFarATagHasMoved(t *testing.T) {
	s := stream("base", image("new", "abc"), image("old", "ab"), image("older", "a"), image("list-amd", "xy"))
	s.Images["list"] = &Image{Digest: "list", Children: []string{"list-amd", "gone"}}
	tag := Tag{Name: "v", Images: []string{"list", "new", "old", "older", "lost"}}
	for _, c := range []struct {
		layers string
		behind int
		ok     bool
	}{
		{"abcd", 1, true}, {"abc", 1, true}, {"abz", 2, true}, {"az", 3, true}, {"xyz", 0, true}, {"z", 0, false}, {"", 0, false},
	} {
		got, ok := s.GenerationOf(image("app", c.layers), tag)
		if ok != c.ok || got.Behind != c.behind {
			t.Errorf("%q: %+v, %v", c.layers, got, ok)
		}
	}
}

func TestATagIsChosenWhereNoneIsNamed(t *testing.T) {
	s := stream("app", image("1", "a"), image("2", "b"))
	s.Tags = []Tag{{"v1", []string{"1"}}}
	find := func(r Reference) string {
		found, err := s.Find(r)
		if err != nil {
			return err.Error()
		}
		return found.Digest
	}
	if got := find(Reference{}); got != "1" {
		t.Error("the only tag:", got)
	}
	s.Tags = append(s.Tags, Tag{"v2", []string{"2"}}, Tag{Name: "empty"})
	if got := find(Reference{}); got != `imagestream "app" has no tag "latest": it has v1, v2, empty` {
		t.Error("several:", got)
	}
	s.Tags = append(s.Tags, Tag{"latest", []string{"2"}})
	if got := find(Reference{}); got != "2" {
		t.Error("latest:", got)
	}
	if got := find(Reference{Tag: "empty"}); got != `tag "empty" of imagestream "app" has no image yet` {
		t.Error(got)
	}
	if got := find(Reference{Digest: "2"}); got != "2" {
		t.Error(got)
	}
}

func TestUsagesCountWhatNobodyElseHas(t *testing.T) {
	one, two := stream("one", image("1", "ab"), image("2", "ac")), stream("two", image("3", "ad"), &Image{Digest: "4", Missing: true})
	two.Namespace = "shop"
	two.Tags = []Tag{{"v", []string{"3"}}}
	for by, want := range map[string]string{
		ByNamespace: "/demo 3 6 5 1 0 [], /shop 2 5 4 1 1 []",
		ByStream:    "demo/one 3 6 5 1 0 [], shop/two 2 5 4 1 1 []",
		ByImage:     "/3 2 5 4 1 0 [shop/two:v], /2 2 4 3 1 0 [], /1 2 3 2 1 0 [], /4 0 0 0 0 1 []",
	} {
		var got []string
		for _, u := range Measure([]*Stream{one, two}, by) {
			got = append(got, fmt.Sprintf("%s/%s %d %d %d %d %d %v", u.Namespace, u.Name, u.Layers, u.Size, u.Unique, u.Shared,
				u.Missing, u.Tags))
		}
		if text := strings.Join(got, ", "); text != want {
			t.Errorf("by %s: %s", by, text)
		}
	}
}
