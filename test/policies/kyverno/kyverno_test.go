package kyverno

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"syscall"
	"testing"

	engineapi "github.com/kyverno/kyverno/pkg/engine/api"
	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"strata/test/policies/shop"
	"strata/test/rig"
)

// asker is how Kyverno's client asks for a path (pkg/clients/dclient); no policy of ours asks for anything else.
type asker struct {
	engineapi.Client
	rest rest.Interface
}

func (a asker) RawAbsPath(ctx context.Context, path, method string, _ io.Reader) ([]byte, error) {
	if method != "GET" {
		return nil, fmt.Errorf("method %s", method)
	}
	return a.rest.Get().RequestURI(path).DoRaw(ctx)
}

// askStrata asks with the rights that the manifest has.
func askStrata(t *testing.T) (*shop.Shop, asker) {
	t.Helper()
	s := shop.Open(t, documents(t)[1]+`
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: kyverno}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'strata:layers:kyverno'}
subjects: [{kind: User, name: policy}]
`)
	config, err := clientcmd.BuildConfigFromFlags("", s.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	return s, asker{rest: kubernetes.NewForConfigOrDie(config).Discovery().RESTClient()}
}

func TestPodsRunWhatIsBuiltOnTheBase(t *testing.T) {
	s, client := askStrata(t)
	j := newJudge(t, client)
	const notBuilt, unknown = "isn't built on an image of openshift/base", "the server could not find the requested resource"
	for _, test := range []struct {
		name    string
		request admissionv1.AdmissionRequest
		why     string // it is refused; empty if it isn't
	}{
		{"what is built on it", created(t, "shop", running(shop.Good)), ""},
		{"the base itself", created(t, "shop", running(shop.Base)), ""},
		{"all children are", created(t, "shop", running(shop.GoodList)), ""},
		{"several", created(t, "shop", withEphemeral(withInit(running(shop.Good, shop.Base), shop.GoodList), shop.Good)), ""},
		{"by a digest that a tag stands before", created(t, "shop",
			running(strings.Replace(shop.Good, "@", ":latest@", 1))), ""},
		{"another registry's copy", created(t, "shop", running("elsewhere.example.com/x@"+rig.Digest(1))), ""},
		{"what isn't", created(t, "shop", running(shop.Bad)), notBuilt},
		{"one of several isn't", created(t, "shop", running(shop.Good, shop.Bad)), notBuilt},
		{"a child isn't", created(t, "shop", running(shop.BadList)), notBuilt},
		{"an init container's isn't", created(t, "shop", withInit(running(shop.Good), shop.Bad)), notBuilt},
		{"an ephemeral container's isn't", created(t, "shop", withEphemeral(running(shop.Good), shop.Bad)), notBuilt},
		{"a volume's is", created(t, "shop", withVolume(running(shop.Good), shop.Base)), ""},
		{"a volume's isn't", created(t, "shop", withVolume(running(shop.Good), shop.Bad)), notBuilt},
		{"beside a volume, one isn't", created(t, "shop", withVolume(running(shop.Bad), shop.Good)), notBuilt},
		{"an image without layers", created(t, "shop", running(shop.Registry+"/openshift/base@"+rig.Digest(8))), "error"},
		{"a record that is gone", created(t, "shop", running(shop.Unreadable)), unknown},
		{"an image that nobody knows", created(t, "shop", running(shop.Unknown)), unknown},
		{"a tag", created(t, "shop", running(shop.Registry+"/shop/app:latest")), "an-image-without-a-digest"},
		{"a path instead of a digest", created(t, "shop",
			running(shop.Registry+"/shop/app@sha256:/../../../../api/v1/secrets")), "an-image-without-a-digest"},
		{"two digests", created(t, "shop", running(shop.Good+"@"+rig.Digest(2))), "an-image-without-a-digest"},
		{"an image is exchanged", updated(t, "", running(shop.Good), running(shop.Bad)), notBuilt},
		{"a bad pod gets worse", updated(t, "", running(shop.Bad), running(shop.Bad, shop.Bad)), notBuilt},
		{"an ephemeral container is added", updated(t, "ephemeralcontainers", running(shop.Good),
			withEphemeral(running(shop.Good), shop.Bad)), notBuilt},
		{"one is added to a bad pod", updated(t, "ephemeralcontainers", running(shop.Bad),
			withEphemeral(running(shop.Bad), shop.Bad)), notBuilt},
		{"one is added that is built on it", updated(t, "ephemeralcontainers", running(shop.Good),
			withEphemeral(running(shop.Good), shop.GoodList)), ""},
		{"a namespace that is left out", created(t, "kube-system", running(shop.Bad)), ""},
	} {
		refused, said := j.refused(t, test.request)
		if refused != (test.why != "") || !strings.Contains(said, test.why) {
			t.Errorf("%s: refused: %v, for %q; want %q", test.name, refused, said, test.why)
		}
	}

	s.Stop(syscall.SIGKILL)
	if refused, said := j.refused(t, created(t, "shop", running(shop.Good))); !refused {
		t.Errorf("Strata is gone: %q", said)
	}
}

// said is a client that answers paths by itself, and fails with all others.
type said struct {
	engineapi.Client
	t       *testing.T
	answers map[string]string
}

var asked = regexp.MustCompile(`^(` + ofBase + `|` + ofImages + `(sha256:[0-9a-f]{64}|an?-[a-z-]+))$`)

func (s said) RawAbsPath(_ context.Context, path, _ string, _ io.Reader) ([]byte, error) {
	if !asked.MatchString(path) {
		s.t.Errorf("it asks for %s", path)
	}
	answer, ok := s.answers[path]
	if !ok {
		return nil, fmt.Errorf("%s isn't there", path)
	}
	return []byte(answer), nil
}

const (
	ofBase   = "/apis/layers.strata.dev/v1alpha1/namespaces/openshift/imagestreamlayers/base"
	ofImages = "/apis/layers.strata.dev/v1alpha1/imagelayers/"
)

// A server that is broken, or hostile, or of a version to come.
func TestAnAnswerWithoutWhatIsLookedForLetsNothingPass(t *testing.T) {
	const rightBase, right = `{"images": {"sha256:7": {"layers": ["sha256:a", "sha256:b"]}}}`,
		`{"layers": [{"name": "sha256:a"}, {"name": "sha256:b"}, {"name": "sha256:c"}]}`
	image, child := ofImages+rig.Digest(1), ofImages+rig.Digest(2)
	request := created(t, "shop", running("registry/shop/app@"+rig.Digest(1)))
	passesWith := func(answers map[string]string) (bool, string) {
		refused, why := newJudge(t, said{t: t, answers: answers}).refused(t, request)
		return !refused, why
	}
	passes := func(base, of, ofChild string) (bool, string) {
		return passesWith(map[string]string{ofBase: base, image: of, child: ofChild})
	}
	list := `{"manifests": ["` + rig.Digest(2) + `"]}`
	for name, answers := range map[string][3]string{
		"the right ones": {rightBase, right, ""},
		"of a list":      {rightBase, list, right},
		"without more":   {`{"images": {"sha256:7": {"layers": ["sha256:a"]}, "sha256:8": {}, "sha256:9": {"layers": []}}}`, right, ""},
	} {
		if ok, why := passes(answers[0], answers[1], answers[2]); !ok {
			t.Errorf("%s: refused: %s", name, why)
		}
	}
	for what, answers := range map[string]map[string]string{
		"the base":  {image: right},
		"the image": {ofBase: rightBase},
		"the child": {ofBase: rightBase, image: list},
	} {
		if ok, _ := passesWith(answers); ok {
			t.Errorf("%s isn't told: it passes", what)
		}
	}
	broken := []string{``, `null`, `true`, `[]`, `"x"`, `7`, `{}`, `{`, `{"kind": "Status", "status": "Failure"}`}
	for _, base := range append([]string{`{"images": null}`, `{"images": {}}`, `{"images": []}`, `{"images": "x"}`,
		`{"images": {"sha256:7": {}}}`, `{"images": {"sha256:7": {"layers": []}}}`, `{"images": {"sha256:7": null}}`,
		`{"images": {"sha256:7": {"layers": null}}}`, `{"images": {"sha256:7": {"layers": ["sha256:b"]}}}`,
		`{"images": {"sha256:7": {"layers": [""]}}}`, `{"images": {"sha256:7": {"layers": ["", ""]}}}`,
		`{"images": {"sha256:7": {"layers": "sha256:a"}}}`, `{"images": {"sha256:7": {"layers": [null]}}}`,
		`{"images": {"sha256:7": {"imageMissing": true}}}`, `{"items": []}`}, broken...) {
		if ok, _ := passes(base, right, right); ok {
			t.Errorf("of the base %s: it passes", base)
		}
	}
	for _, of := range append([]string{`{"layers": null}`, `{"layers": []}`, `{"layers": {}}`, `{"layers": "sha256:asha256:b"}`,
		`{"layers": [{}]}`, `{"layers": [null]}`, `{"layers": ["sha256:a", "sha256:b"]}`, `{"layers": [{"name": ""}]}`,
		`{"layers": [{"name": "sha256:a"}]}`, `{"layers": [{"name": "sha256:b"}, {"name": "sha256:a"}]}`,
		`{"layers": [{"name": "x', 'x') || starts_with('"}]}`, `{"layers": [{"name": "') || true || ('"}]}`,
		`{"layers": [{"name": "{{ bases[0] }}"}]}`, `{"layers": [{"name": "\\', @)] || '"}]}`, `{"layers": [{"name": "*"}]}`,
		`{"layers": [{"name": ["sha256:a", "sha256:b"]}]}`, `{"unreadable": "cut off"}`, `{"items": [` + right + `]}`}, broken...) {
		if ok, _ := passes(rightBase, of, of); ok {
			t.Errorf("of the image %s: it passes", of)
		}
		if ok, _ := passes(rightBase, list, of); ok {
			t.Errorf("of a child %s: it passes", of)
		}
	}
	for _, of := range []string{`{"manifests": [null]}`, `{"manifests": [null, null]}`, `{"manifests": {}}`, `{"manifests": ""}`,
		`{"manifests": "` + rig.Digest(2) + `"}`, `{"manifests": [7]}`, `{"manifests": [[]]}`, `{"manifests": [{}]}`,
		`{"manifests": [""]}`, `{"manifests": ["../../../../api/v1/secrets"]}`, `{"manifests": ["' || '"]}`, `{"manifests": ["` + rig.Digest(2) + `", "` + rig.Digest(3) + `"]}`,
		`{"manifests": {"0": "` + rig.Digest(2) + `"}}`, `{"manifests": [["` + rig.Digest(2) + `"]]}`} {
		if ok, why := passes(rightBase, of, right); ok {
			t.Errorf("of a list %s: it passes: %s", of, why)
		}
	}
}
