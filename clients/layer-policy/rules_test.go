package main

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

func TestReferencesAreOfTheClustersRegistryAndByDigest(t *testing.T) {
	rules := &rules{registry: testRegistry}
	for reference, want := range map[string]image{
		"registry:5000/shop/app@" + digest("1"):        {"shop", "app", digest("1")},
		"registry:5000/shop/app:latest@" + digest("1"): {"shop", "app", digest("1")},
		"registry:5000/shop/app:latest":                {},
		"registry:5000/app@" + digest("1"):             {},
		"registry:5000/shop/app/x@" + digest("1"):      {},
		"elsewhere/shop/app@" + digest("1"):            {},
		digest("1"):                                    {},
		"":                                             {},
	} {
		if got := rules.ofReference(reference); got != want {
			t.Errorf("%s: got %v, want %v", reference, got, want)
		}
	}
	for key, want := range map[string]image{
		digest("1"):                                {"", "", digest("1")},
		digest("1") + "/x":                         {},
		"sha256:../../secrets":                     {},
		"registry:5000/shop/app@" + digest("1"):    {"shop", "app", digest("1")},
		"registry:5000/shop/../app@" + digest("1"): {},
	} {
		if got := rules.ofKey(key); got != want {
			t.Errorf("key %s: got %v, want %v", key, got, want)
		}
	}
}

func TestImagesAreDecidedByTheirLayers(t *testing.T) {
	rules, _ := testRules(t)
	failed := errors.New("any")
	for name, test := range map[string]struct {
		of   image
		want decision
	}{
		"not looked at":                {image{}, decision{}},
		"without a denied layer":       {image{"shop", "app", digest("1")}, decision{known: true}},
		"with one":                     {image{"shop", "app", digest("2")}, decision{known: true, denied: digest("d")}},
		"with one in a child":          {image{"shop", "app", digest("3")}, decision{known: true, denied: digest("d")}},
		"without a record":             {image{"shop", "app", digest("4")}, decision{err: errUnknowable}},
		"with a child that is gone":    {image{"shop", "app", digest("6")}, decision{err: errUnknowable}},
		"with one below a child":       {image{"shop", "app", digest("7")}, decision{known: true, denied: digest("d")}},
		"its own child":                {image{"shop", "app", digest("8")}, decision{known: true}},
		"a child that isn't there":     {image{"shop", "app", digest("a")}, decision{err: errUnknowable}},
		"not in the stream":            {image{"shop", "app", digest("5")}, decision{}},
		"no such stream":               {image{"shop", "none", digest("1")}, decision{}},
		"a stream that fails":          {image{"shop", "broken", digest("1")}, decision{err: failed}},
		"no name of a stream":          {image{"shop", "..", digest("1")}, decision{err: failed}},
		"by digest":                    {image{digest: digest("1")}, decision{known: true}},
		"by digest, with one":          {image{digest: digest("2")}, decision{known: true, denied: digest("d")}},
		"by digest, with one in child": {image{digest: digest("3")}, decision{known: true, denied: digest("d")}},
		"by digest, unreadable":        {image{digest: digest("4")}, decision{err: errUnknowable}},
		"by digest, child unreadable":  {image{digest: digest("6")}, decision{err: errUnknowable}},
		"by digest, one below a child": {image{digest: digest("7")}, decision{known: true, denied: digest("d")}},
		"by digest, its own child":     {image{digest: digest("8")}, decision{known: true}},
		"by digest, child not there":   {image{digest: digest("a")}, decision{err: errUnknowable}},
		"by digest, child of a path":   {image{digest: digest("b")}, decision{err: errUnknowable}},
		"by digest, not there":         {image{digest: digest("5")}, decision{}},
		"by digest, without the group": {image{digest: digest("9")}, decision{err: failed}},
	} {
		t.Run(name, func(t *testing.T) {
			got := rules.decide(context.Background(), []image{test.of})[0]
			if (got.err == nil) != (test.want.err == nil) ||
				errors.Is(got.err, errUnknowable) != errors.Is(test.want.err, errUnknowable) {
				t.Fatalf("got error %v, want %v", got.err, test.want.err)
			}
			if got.known != test.want.known || got.denied != test.want.denied {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestAnIndexThatDoesNotEndIsGivenUp(t *testing.T) {
	rules, _ := testRules(t)
	asked := 0
	got := rules.decideWhole("0", func(string) (*made, error) {
		asked++
		return &made{manifests: []string{fmt.Sprint(asked)}}, nil
	})
	if !errors.Is(got.err, errUnknowable) || asked != 1+maxChildren {
		t.Errorf("got %+v, after %d", got, asked)
	}
}

func TestAStreamIsAskedForOnce(t *testing.T) {
	rules, cluster := testRules(t)
	decisions := rules.decide(context.Background(), []image{
		{"shop", "app", digest("1")}, {}, {"shop", "app", digest("2")}, {"shop", "app", digest("1")}})
	if decisions[0].denied != "" || decisions[1].known || decisions[2].denied == "" || decisions[3].denied != "" {
		t.Errorf("not in the images' order: %+v", decisions)
	}
	if len(cluster.asked) != 1 {
		t.Errorf("asked %q", cluster.asked)
	}
}
