package kyverno

import (
	"context"
	"fmt"
	"io"
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
		{"what is built on it", shop.Created(t, "shop", shop.Running(shop.Good)), ""},
		{"the base itself", shop.Created(t, "shop", shop.Running(shop.Base)), ""},
		{"all children are", shop.Created(t, "shop", shop.Running(shop.GoodList)), ""},
		{"several", shop.Created(t, "shop", shop.WithEphemeral(shop.WithInit(shop.Running(shop.Good, shop.Base), shop.GoodList), shop.Good)), ""},
		{"by a digest that a tag stands before", shop.Created(t, "shop",
			shop.Running(strings.Replace(shop.Good, "@", ":latest@", 1))), ""},
		{"another registry's copy", shop.Created(t, "shop", shop.Running("elsewhere.example.com/x@"+rig.Digest(1))), ""},
		{"what isn't", shop.Created(t, "shop", shop.Running(shop.Bad)), notBuilt},
		{"one of several isn't", shop.Created(t, "shop", shop.Running(shop.Good, shop.Bad)), notBuilt},
		{"a child isn't", shop.Created(t, "shop", shop.Running(shop.BadList)), notBuilt},
		{"an init container's isn't", shop.Created(t, "shop", shop.WithInit(shop.Running(shop.Good), shop.Bad)), notBuilt},
		{"an ephemeral container's isn't", shop.Created(t, "shop", shop.WithEphemeral(shop.Running(shop.Good), shop.Bad)), notBuilt},
		{"a volume's is", shop.Created(t, "shop", shop.WithVolume(shop.Running(shop.Good), shop.Base)), ""},
		{"a volume's isn't", shop.Created(t, "shop", shop.WithVolume(shop.Running(shop.Good), shop.Bad)), notBuilt},
		{"beside a volume, one isn't", shop.Created(t, "shop", shop.WithVolume(shop.Running(shop.Bad), shop.Good)), notBuilt},
		{"an image without layers", shop.Created(t, "shop", shop.Running(shop.Registry+"/openshift/base@"+rig.Digest(8))), "error"},
		{"a record that is gone", shop.Created(t, "shop", shop.Running(shop.Unreadable)), unknown},
		{"an image that nobody knows", shop.Created(t, "shop", shop.Running(shop.Unknown)), unknown},
		{"a tag", shop.Created(t, "shop", shop.Running(shop.Registry+"/shop/app:latest")), "an-image-without-a-digest"},
		{"a path instead of a digest", shop.Created(t, "shop",
			shop.Running(shop.Registry+"/shop/app@sha256:/../../../../api/v1/secrets")), "an-image-without-a-digest"},
		{"two digests", shop.Created(t, "shop", shop.Running(shop.Good+"@"+rig.Digest(2))), "an-image-without-a-digest"},
		{"an image is exchanged", shop.Updated(t, "shop", "", shop.Running(shop.Good), shop.Running(shop.Bad)), notBuilt},
		{"a bad pod gets worse", shop.Updated(t, "shop", "", shop.Running(shop.Bad), shop.Running(shop.Bad, shop.Bad)), notBuilt},
		{"an ephemeral container is added", shop.Updated(t, "shop", "ephemeralcontainers", shop.Running(shop.Good),
			shop.WithEphemeral(shop.Running(shop.Good), shop.Bad)), notBuilt},
		{"one is added to a bad pod", shop.Updated(t, "shop", "ephemeralcontainers", shop.Running(shop.Bad),
			shop.WithEphemeral(shop.Running(shop.Bad), shop.Bad)), notBuilt},
		{"one is added that is built on it", shop.Updated(t, "shop", "ephemeralcontainers", shop.Running(shop.Good),
			shop.WithEphemeral(shop.Running(shop.Good), shop.GoodList)), ""},
		{"a bad pod stays as it is", shop.Updated(t, "shop", "", shop.Running(shop.Bad), shop.Running(shop.Bad)), ""},
		{"a namespace that is left out", shop.Created(t, "kube-system", shop.Running(shop.Bad)), ""},
	} {
		refused, said := j.refused(t, test.request)
		if refused != (test.why != "") || !strings.Contains(said, test.why) {
			t.Errorf("%s: refused: %v, for %q; want %q", test.name, refused, said, test.why)
		}
	}

	s.Stop(syscall.SIGKILL)
	if refused, said := j.refused(t, shop.Created(t, "shop", shop.Running(shop.Good))); !refused {
		t.Errorf("Strata is gone: %q", said)
	}
}
