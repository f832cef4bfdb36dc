// Package kyverno has what Kyverno's own engine makes of kyverno.yaml of deploy/components/layer-policy.
package kyverno

import (
	"context"
	"os"
	"strings"
	"testing"

	kyvernov1 "github.com/kyverno/kyverno/api/kyverno/v1"
	kyvernov2 "github.com/kyverno/kyverno/api/kyverno/v2"
	"github.com/kyverno/kyverno/pkg/clients/dclient"
	"github.com/kyverno/kyverno/pkg/config"
	"github.com/kyverno/kyverno/pkg/engine"
	engineapi "github.com/kyverno/kyverno/pkg/engine/api"
	"github.com/kyverno/kyverno/pkg/engine/factories"
	"github.com/kyverno/kyverno/pkg/engine/jmespath"
	"github.com/kyverno/kyverno/pkg/engine/policycontext"
	imageverifycache "github.com/kyverno/kyverno/pkg/image/verification/cache"
	engineutils "github.com/kyverno/kyverno/pkg/utils/engine"
	policyvalidation "github.com/kyverno/kyverno/pkg/validation/policy"
	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	fakediscovery "k8s.io/client-go/discovery/fake"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/yaml"
)

// judge is Kyverno's engine with the policy, as its admission controller has it.
type judge struct {
	engineapi.Engine
	policy        *kyvernov1.ClusterPolicy
	configuration config.Configuration
	jp            jmespath.Interface
}

// documents are those of the manifest: the policy and the role.
func documents(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../../deploy/components/layer-policy/kyverno.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(text), "\n---\n")
}

// newJudge asks the client what the policy's apiCalls ask.
func newJudge(t *testing.T, client engineapi.Client) *judge {
	t.Helper()
	j := &judge{policy: &kyvernov1.ClusterPolicy{}, configuration: config.NewDefaultConfiguration(false)}
	if err := yaml.UnmarshalStrict([]byte(documents(t)[0]), j.policy); err != nil {
		t.Fatal(err)
	}
	cluster := fake.NewClientset()
	cluster.Discovery().(*fakediscovery.FakeDiscovery).FakedServerVersion = &version.Info{GitVersion: "v1.28.0"}
	warnings, err := policyvalidation.Validate(j.policy, nil, dclient.NewFakeClientWithDisco(nil, cluster, nil), true, "", "")
	if err != nil || warnings != nil {
		t.Fatal("Kyverno wouldn't take the policy as it is: ", warnings, err)
	}
	j.jp = jmespath.New(j.configuration)
	j.Engine = engine.NewEngine(j.configuration, j.jp, client, nil, imageverifycache.DisabledImageVerifyCache(),
		factories.DefaultContextLoaderFactory(nil), nil, nil)
	return j
}

// refused tells whether Kyverno's webhook would refuse it, and why.
func (j *judge) refused(t *testing.T, request admissionv1.AdmissionRequest) (bool, string) {
	t.Helper()
	ctx := context.Background()
	about, err := policycontext.NewPolicyContextFromAdmissionRequest(j.jp, request, kyvernov2.RequestInfo{},
		schema.GroupVersionKind{Version: "v1", Kind: "Pod"}, j.configuration)
	if err != nil {
		return true, err.Error() // as the webhook does
	}
	response := j.Validate(ctx, about.WithPolicy(j.policy))
	var said []string
	for _, rule := range response.PolicyResponse.Rules {
		said = append(said, string(rule.Status())+": "+rule.Message())
	}
	return engineutils.BlockRequest(response, j.policy.GetSpec().GetFailurePolicy(ctx)), strings.Join(said, "\n")
}
