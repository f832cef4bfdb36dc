package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"strata/test/rig"
)

// deploy/compare: kube-apiserver takes its objects without a warning, and its command line, with the rights of its
// service account, compares what comes through the aggregator with what Strata itself answers.
func TestTheJobComparesTheClusterWithStrata(t *testing.T) {
	c := newCluster(t)
	c.storeApp()
	c.createNamespace("others")
	c.storeOthers()
	c.kubectl("admin", "label", "namespace", "strata", "pod-security.kubernetes.io/enforce=restricted",
		"pod-security.kubernetes.io/warn=restricted")
	out := c.kubectl("admin", "apply", "--validate=strict", "-k", "../../deploy/compare")
	rig.Contains(t, out, "job.batch/strata-compare created", "clusterrole.rbac.authorization.k8s.io/strata:compare created")
	if strings.Contains(out, "Warning") {
		t.Error(out)
	}

	text, err := os.ReadFile("../../deploy/compare/job.yaml")
	c.check(err)
	var job batchv1.Job
	c.check(yaml.UnmarshalStrict(text, &job))
	args := job.Spec.Template.Spec.Containers[0].Args
	for i, arg := range args {
		arg = strings.Replace(arg, "https://strata.strata.svc", fmt.Sprintf("https://127.0.0.1:%d", c.port), 1)
		args[i] = strings.Replace(arg, "/etc/strata/ca/service-ca.crt", c.path("ca.crt"), 1)
	}
	token, err := c.client.CoreV1().ServiceAccounts("strata").CreateToken(context.Background(), "strata-compare",
		&authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	c.check(err)
	command := exec.Command(rig.Peer(t, "kubectl-layers"), args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+c.write("compare.kubeconfig", c.kubeconfig(token.Status.Token)))
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err = command.Run()
	if want := "4 streams compared: 4 equal, 0 different on purpose, 0 different\n"; err != nil || stdout.String() != want {
		t.Errorf("%v\n%s%s", err, stdout.String(), stderr.String())
	}
}
