package kyverno

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"testing"

	engineapi "github.com/kyverno/kyverno/pkg/engine/api"

	"strata/test/policies/shop"
	"strata/test/rig"
)

const (
	ofBase   = "/apis/layers.strata.dev/v1alpha1/namespaces/openshift/imagestreamlayers/base"
	ofImages = "/apis/layers.strata.dev/v1alpha1/imagelayers/"

	rightBase = `{"images": {"sha256:7": {"layers": ["sha256:a", "sha256:b"]}}}`
	right     = `{"layers": [{"name": "sha256:a"}, {"name": "sha256:b"}, {"name": "sha256:c"}]}`
)

// The image that is asked about, its child, and what a list says of that.
var (
	image = rig.Digest(1)
	child = rig.Digest(2)
	list  = `{"manifests": ["` + child + `"]}`
)

// answers is a server that answers paths by itself, and fails with all others. The base and images are asked about, and
// nothing else.
type answers struct {
	engineapi.Client
	t    *testing.T
	each map[string]string
}

var asked = regexp.MustCompile(`^(` + ofBase + `|` + ofImages + `(sha256:[0-9a-f]{64}|an?-[a-z-]+))$`)

func (a answers) RawAbsPath(_ context.Context, path, _ string, _ io.Reader) ([]byte, error) {
	if !asked.MatchString(path) {
		a.t.Errorf("it asks for %s", path)
	}
	answer, ok := a.each[path]
	if !ok {
		return nil, fmt.Errorf("%s isn't there", path)
	}
	return []byte(answer), nil
}

// passes tells whether a pod with the image may run where these are the answers, and why not; one that is "none" isn't
// given.
func passes(t *testing.T, base, ofImage, ofChild string) (bool, string) {
	t.Helper()
	each := map[string]string{ofBase: base, ofImages + image: ofImage, ofImages + child: ofChild}
	for path, answer := range each {
		if answer == "none" {
			delete(each, path)
		}
	}
	refused, why := newJudge(t, answers{t: t, each: each}).refused(t, shop.Created(t, "shop", shop.Running("registry/shop/app@"+image)))
	return !refused, why
}

func TestTheRightAnswersLetPass(t *testing.T) {
	for name, said := range map[string][3]string{
		"of an image": {rightBase, right, "none"},
		"of a list":   {rightBase, list, right},
		"of a base that has images without layers too": {
			`{"images": {"sha256:7": {"layers": ["sha256:a"]}, "sha256:8": {}, "sha256:9": {"layers": []}}}`, right, "none"},
	} {
		if ok, why := passes(t, said[0], said[1], said[2]); !ok {
			t.Errorf("%s: refused: %s", name, why)
		}
	}
}

// What no server should say of anything: one that is broken, or hostile, or of a version to come.
var broken = []string{"none", ``, `null`, `true`, `[]`, `"x"`, `7`, `{}`, `{`, `{"kind": "Status", "status": "Failure"}`}

func TestAnAnswerAboutTheBaseWithoutLayersLetsNothingPass(t *testing.T) {
	for _, base := range append([]string{
		`{"images": null}`, `{"images": {}}`, `{"images": []}`, `{"images": "x"}`, `{"items": []}`,
		`{"images": {"sha256:7": null}}`,
		`{"images": {"sha256:7": {}}}`,
		`{"images": {"sha256:7": {"imageMissing": true}}}`,
		`{"images": {"sha256:7": {"layers": null}}}`,
		`{"images": {"sha256:7": {"layers": []}}}`,
		`{"images": {"sha256:7": {"layers": [null]}}}`,
		`{"images": {"sha256:7": {"layers": [""]}}}`,
		`{"images": {"sha256:7": {"layers": ["", ""]}}}`,
		`{"images": {"sha256:7": {"layers": ["sha256:b"]}}}`,
		`{"images": {"sha256:7": {"layers": "sha256:a"}}}`,
	}, broken...) {
		if ok, _ := passes(t, base, right, "none"); ok {
			t.Errorf("%s: it passes", base)
		}
	}
}

func TestAnAnswerAboutAnImageWithoutTheBasesLayersLetsNothingPass(t *testing.T) {
	for _, of := range append([]string{
		`{"unreadable": "cut off"}`, `{"items": [` + right + `]}`,
		`{"layers": null}`, `{"layers": []}`, `{"layers": {}}`, `{"layers": "sha256:asha256:b"}`,
		`{"layers": ["sha256:a", "sha256:b"]}`, `{"layers": [{}]}`, `{"layers": [null]}`,
		`{"layers": [{"name": ""}]}`,
		`{"layers": [{"name": "*"}]}`,
		`{"layers": [{"name": "sha256:a"}]}`,
		`{"layers": [{"name": "sha256:b"}, {"name": "sha256:a"}]}`,
		`{"layers": [{"name": ["sha256:a", "sha256:b"]}]}`,
		`{"layers": [{"name": "x', 'x') || starts_with('"}]}`,
		`{"layers": [{"name": "') || true || ('"}]}`,
		`{"layers": [{"name": "\\', @)] || '"}]}`,
		`{"layers": [{"name": "{{ bases[0] }}"}]}`,
	}, broken...) {
		if ok, _ := passes(t, rightBase, of, "none"); ok {
			t.Errorf("%s: it passes", of)
		}
		if ok, _ := passes(t, rightBase, list, of); ok {
			t.Errorf("of a child %s: it passes", of)
		}
	}
}

func TestAListOfNoChildrenLetsNothingPass(t *testing.T) {
	for _, of := range []string{
		`{"manifests": ""}`, `{"manifests": "` + child + `"}`, `{"manifests": {}}`, `{"manifests": {"0": "` + child + `"}}`,
		`{"manifests": [null]}`, `{"manifests": [null, null]}`, `{"manifests": [7]}`, `{"manifests": [[]]}`,
		`{"manifests": [{}]}`, `{"manifests": [""]}`, `{"manifests": ["' || '"]}`,
		`{"manifests": ["../../../../api/v1/secrets"]}`,
		`{"manifests": [["` + child + `"]]}`,
		`{"manifests": ["` + child + `", "` + rig.Digest(3) + `"]}`,
	} {
		if ok, why := passes(t, rightBase, of, right); ok {
			t.Errorf("%s: it passes: %s", of, why)
		}
	}
}
