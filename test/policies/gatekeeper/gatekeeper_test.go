// Package gatekeeper has what Gatekeeper's own target, client and driver make of gatekeeper.yaml of
// deploy/components/layer-policy: they ask its provider over TLS, and that a Strata.
package gatekeeper

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/open-policy-agent/frameworks/constraint/pkg/apis/externaldata/unversioned"
	templatesv1 "github.com/open-policy-agent/frameworks/constraint/pkg/apis/templates/v1"
	"github.com/open-policy-agent/frameworks/constraint/pkg/client"
	"github.com/open-policy-agent/frameworks/constraint/pkg/client/drivers/rego"
	"github.com/open-policy-agent/frameworks/constraint/pkg/client/reviews"
	"github.com/open-policy-agent/frameworks/constraint/pkg/core/templates"
	"github.com/open-policy-agent/frameworks/constraint/pkg/externaldata"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/target"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	"sigs.k8s.io/yaml"

	"strata/test/policies/shop"
	"strata/test/rig"
)

// engine is Gatekeeper's, set up as its main.go does, with the manifests.
type engine struct {
	*client.Client
	constraint unstructured.Unstructured
}

const webhook = "validation.gatekeeper.sh"

// What the provider's program may do: pull in all namespaces, and so see their layers.
const roles = `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: policy}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'system:image-puller'}
subjects: [{kind: User, name: policy}]
`

// newEngine asks the provider on the port, whose certificate is the CA's, with the pair in the files.
func newEngine(t *testing.T, port int, ca []byte, certificate, key string) *engine {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var provider unversioned.Provider
	var template templatesv1.ConstraintTemplate
	e := &engine{}
	text, err := os.ReadFile("../../../deploy/components/layer-policy/gatekeeper.yaml")
	check(err)
	documents := strings.Split(string(text), "\n---\n")
	for i, into := range []any{&provider, &template, &e.constraint.Object} {
		check(yaml.UnmarshalStrict([]byte(documents[i]), into))
	}
	provider.Spec.URL = strings.Replace(provider.Spec.URL, "strata-layer-policy.strata.svc:9444",
		fmt.Sprintf("localhost:%d", port), 1)
	provider.Spec.Timeout = int(rig.Patience.Seconds())
	provider.Spec.CABundle = base64.StdEncoding.EncodeToString(ca)

	watcher, err := certwatcher.New(certificate, key)
	check(err)
	providers := externaldata.NewCache()
	driver, err := rego.New(rego.AddExternalDataProviderCache(providers), rego.EnableExternalDataClientAuth(),
		rego.AddExternalDataClientCertWatcher(watcher), rego.Externs())
	check(err)
	check(providers.Upsert(&provider))
	e.Client, err = client.NewClient(client.Targets(&target.K8sValidationTarget{}), client.Driver(driver),
		client.EnforcementPoints(webhook))
	check(err)
	scheme := runtime.NewScheme()
	check(templatesv1.AddToScheme(scheme))
	unversioned := &templates.ConstraintTemplate{}
	check(scheme.Convert(&template, unversioned, nil))
	_, err = e.AddTemplate(context.Background(), unversioned)
	check(err)
	e.require(t, false)
	return e
}

// require sets the constraint's requireKnown.
func (e *engine) require(t *testing.T, known bool) {
	t.Helper()
	if err := unstructured.SetNestedField(e.constraint.Object, known, "spec", "parameters", "requireKnown"); err != nil {
		t.Fatal(err)
	}
	if _, err := e.AddConstraint(context.Background(), &e.constraint); err != nil {
		t.Fatal(err)
	}
}

// violations are what is said against a pod of the namespace, sorted.
func (e *engine) violations(t *testing.T, namespace string, spec corev1.PodSpec) []string {
	t.Helper()
	return e.violationsOf(t, shop.Created(t, namespace, spec))
}

func (e *engine) violationsOf(t *testing.T, request admissionv1.AdmissionRequest) []string {
	t.Helper()
	responses, err := e.Review(context.Background(), &target.AugmentedReview{IsAdmission: true,
		Namespace: &corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
			ObjectMeta: metav1.ObjectMeta{Name: request.Namespace}},
		AdmissionRequest: &request}, reviews.EnforcementPoint(webhook))
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, result := range responses.Results() {
		if result.EnforcementAction != "deny" {
			t.Errorf("it doesn't refuse, but %q", result.EnforcementAction)
		}
		said = append(said, result.Msg)
	}
	slices.Sort(said)
	return said
}

// startProvider is layer-policy's, on a port that Gatekeeper's certificate is wanted at.
func startProvider(t *testing.T, s *shop.Shop) (process *rig.Process, port int) {
	t.Helper()
	certificate, key := s.CA.Serving(t, "localhost")
	s.Write(t, "tls.crt", certificate)
	s.Write(t, "tls.key", key)
	denied := s.Write(t, "denied.txt", []byte(shop.Denied+"\n"))
	port = rig.FreePort(t)
	return rig.Start(t, rig.Peer(t, "layer-policy"), "--registry="+shop.Registry, "--denied-layers="+denied,
		"--host=127.0.0.1", fmt.Sprintf("--port=%d", rig.FreePort(t)), fmt.Sprintf("--provider-port=%d", port),
		"--cert-dir="+s.Dir, "--provider-client-ca="+s.Write(t, "gatekeeper-ca.crt", s.CA.PEM),
		"--provider-deadline="+rig.Patience.String(), "--kubeconfig="+s.Kubeconfig()), port
}

func TestPodsAreRefusedAsTheProviderSays(t *testing.T) {
	s := shop.Open(t, roles)
	provider, port := startProvider(t, s)
	certificate, key := s.CA.Client(t, "gatekeeper-webhook-service")
	e := newEngine(t, port, s.CA.PEM, s.Write(t, "client.crt", certificate), s.Write(t, "client.key", key))
	rig.EventuallyWithin(t, 2*rig.Patience, "the provider answers", func() error {
		if said := e.violations(t, "shop", shop.Running(shop.Good)); said != nil {
			return fmt.Errorf("%q", said)
		}
		return nil
	})

	contains := func(image string) string { return "image " + image + " contains the denied layer " + shop.Denied }
	unreadable := "image " + shop.Unreadable + ": its record can't be read, so its layers aren't known"
	unknown := func(image string) string { return "the layers of image " + image + " aren't known" }
	for _, test := range []struct {
		name          string
		namespace     string
		spec          corev1.PodSpec
		want, further []string // further: what is said as well with requireKnown
	}{
		{"images without the layer", "shop", shop.Running(shop.Good, shop.Good), nil, nil},
		{"one with it", "shop", shop.Running(shop.Good, shop.Bad), []string{contains(shop.Bad)}, nil},
		{"one whose child has it", "shop", shop.Running(shop.BadList), []string{contains(shop.BadList)}, nil},
		{"an init container", "shop", shop.WithInit(shop.Running(shop.Good), shop.Bad), []string{contains(shop.Bad)}, nil},
		{"an ephemeral container", "shop", shop.WithEphemeral(shop.Running(shop.Good), shop.Bad),
			[]string{contains(shop.Bad)}, nil},
		{"a volume's image", "shop", shop.WithVolume(shop.Running(shop.Good), shop.Bad), []string{contains(shop.Bad)}, nil},
		{"a record that can't be read", "shop", shop.Running(shop.Unreadable, shop.Good), []string{unreadable}, nil},
		{"images that nobody knows", "shop", shop.Running(shop.Unknown, shop.Streamless, shop.Elsewhere), nil,
			[]string{unknown(shop.Elsewhere), unknown(shop.Unknown), unknown(shop.Streamless)}},
		{"a namespace that is left out", "kube-system", shop.Running(shop.Bad, shop.Unknown), nil, nil},
	} {
		for _, requireKnown := range []bool{false, true} {
			e.require(t, requireKnown)
			want := test.want
			if requireKnown {
				want = append(slices.Clone(want), test.further...)
			}
			slices.Sort(want)
			if said := e.violations(t, test.namespace, test.spec); !slices.Equal(said, want) {
				t.Errorf("%s, requireKnown %v: said\n%q, want\n%q", test.name, requireKnown, said, want)
			}
		}
	}

	for _, test := range []struct {
		name          string
		before, after corev1.PodSpec
		want          []string
	}{
		{"a denied image stays", shop.Running(shop.Bad), shop.Running(shop.Bad), nil},
		{"one of two goes", shop.Running(shop.Bad, shop.BadList), shop.Running(shop.Good, shop.BadList), nil},
		{"one comes", shop.Running(shop.Good), shop.WithEphemeral(shop.Running(shop.Good), shop.Bad),
			[]string{contains(shop.Bad)}},
	} {
		if said := e.violationsOf(t, shop.Updated(t, "shop", "", test.before, test.after)); !slices.Equal(said, test.want) {
			t.Errorf("%s: said %q, want %q", test.name, said, test.want)
		}
	}

	refusedFor := func(why string) {
		t.Helper()
		said := e.violations(t, "shop", shop.Running(shop.Good, shop.Elsewhere))
		if !slices.ContainsFunc(said, func(msg string) bool {
			return strings.HasPrefix(msg, "image "+shop.Good+": layer-policy: ")
		}) {
			t.Errorf("%s: said %q", why, said)
		}
	}
	s.Stop(syscall.SIGKILL)
	refusedFor("Strata is gone")
	provider.Stop(syscall.SIGKILL)
	refusedFor("the provider is gone")
}

func TestPodsAreRefusedWhereTheProviderDoesNotKnowGatekeeper(t *testing.T) {
	s := shop.Open(t, roles)
	_, port := startProvider(t, s)
	stranger, key := rig.NewCA(t, "stranger").Client(t, "gatekeeper-webhook-service")
	e := newEngine(t, port, s.CA.PEM, s.Write(t, "client.crt", stranger), s.Write(t, "client.key", key))
	rig.EventuallyWithin(t, 2*time.Minute, "the provider refuses a stranger", func() error {
		said := e.violations(t, "shop", shop.Running(shop.Good))
		if len(said) != 1 || !strings.Contains(said[0], "image "+shop.Good+": layer-policy: ") ||
			!strings.Contains(said[0], "tls: ") {
			return fmt.Errorf("%q", said)
		}
		return nil
	})
}
