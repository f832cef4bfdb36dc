package model

import "testing"

func TestReferencesAreReadAsPeopleWriteThem(t *testing.T) {
	for _, c := range []struct {
		text string
		want Reference
		ok   bool
	}{
		{"app", Reference{"demo", "app", "", ""}, true},
		{"app:v1", Reference{"demo", "app", "v1", ""}, true},
		{"shop/app:v1.2", Reference{"shop", "app", "v1.2", ""}, true},
		{"shop/app@sha256:ab", Reference{"shop", "app", "", "sha256:ab"}, true},
		{"app@ab", Reference{"demo", "app", "", "ab"}, true},
		{"", Reference{}, false},
		{"app:", Reference{}, false},
		{"app@", Reference{}, false},
		{":v1", Reference{}, false},
		{"/app", Reference{}, false},
		{"a/b/c", Reference{}, false},
		{"app:v1:v2", Reference{"demo", "app", "v1:v2", ""}, true}, // tags hold anything
	} {
		got, err := ParseReference(c.text, "demo")
		if (err == nil) != c.ok || c.ok && got != c.want {
			t.Errorf("%q: %+v, %v", c.text, got, err)
		}
	}
}

func TestImagesOfPodsNameStreams(t *testing.T) {
	for _, c := range []struct {
		image string
		want  Reference
		ok    bool
	}{
		{"registry:5000/shop/app@sha256:ab", Reference{"shop", "app", "", "sha256:ab"}, true},
		{"docker-pullable://registry:5000/shop/app@sha256:ab", Reference{"shop", "app", "", "sha256:ab"}, true},
		{"registry/shop/app:v1", Reference{"shop", "app", "v1", ""}, true},
		{"registry/shop/app:v1@sha256:ab", Reference{"shop", "app", "v1", "sha256:ab"}, true},
		{"nginx", Reference{}, false},
		{"quay.io/a/b/c@sha256:ab", Reference{"", "", "", "sha256:ab"}, false},
	} {
		got, ok := ParsePullSpec(c.image)
		if ok != c.ok || got != c.want {
			t.Errorf("%q: %+v, %v", c.image, got, ok)
		}
	}
}

func TestDigestsAreKnownByTheirBeginning(t *testing.T) {
	const digest = "sha256:0123456789abcdef"
	if got := Short(digest); got != "sha256:0123456789ab" {
		t.Error(got)
	}
	for text, want := range map[string]bool{digest: true, "sha256:01": true, "0123": true, Short(digest): true,
		"123": false, "": false, "sha512:01": false} {
		if MatchesDigest(digest, text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}
