package cluster

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"strata/test/rig"
)

var clusterBlock = regexp.MustCompile("(?s)<!-- run: cluster -->\n```sh\n(.*?)```\n")

// blocks are the shell blocks of a document that are marked as a cluster's.
func blocks(t *testing.T, document string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../..", document))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, match := range clusterBlock.FindAllStringSubmatch(string(text), -1) {
		found = append(found, match[1])
	}
	if len(found) == 0 {
		t.Fatalf("%s has no block for a cluster", document)
	}
	return found
}

// A copy of what the documents speak of, so that nothing is written into the tree.
func (c *cluster) copyOfTree() string {
	c.t.Helper()
	tree := c.path("strata")
	for _, folder := range []string{"deploy", "certs"} {
		c.check(os.CopyFS(filepath.Join(tree, folder), os.DirFS(filepath.Join("../..", folder))))
	}
	return tree
}

// follow runs one block as the cluster's administrator, in `folder`.
func (c *cluster) follow(folder, block string) string {
	c.t.Helper()
	command := exec.Command("bash", "-euo", "pipefail", "-c", block)
	command.Dir = folder
	command.Env = append(os.Environ(), "KUBECONFIG="+c.path("admin.kubeconfig"),
		"PATH="+filepath.Dir(rig.Peer(c.t, "kubectl"))+":"+os.Getenv("PATH"))
	out, err := command.CombinedOutput()
	if err != nil {
		c.t.Fatalf("%v:\n%s\n%s", err, block, out)
	}
	return string(out)
}

// The control plane has no node and no cert-manager: Strata's pod is a process of the rig, to which the Service leads,
// and what would be filled into spec.caBundle is.
func (c *cluster) standInForNodes() {
	c.t.Helper()
	ctx := context.Background()
	_, err := c.client.CoreV1().Services("strata").Patch(ctx, "strata", types.MergePatchType, []byte(
		`{"spec": {"type": "ExternalName", "externalName": "localhost", "clusterIP": null, "clusterIPs": null}}`),
		metav1.PatchOptions{})
	c.check(err)
	_, err = c.apiServices().ApiregistrationV1().APIServices().Patch(ctx, "v1."+group, types.MergePatchType,
		[]byte(fmt.Sprintf(`{"spec": {"caBundle": %q, "service": {"port": %d}}}`,
			base64.StdEncoding.EncodeToString(c.ca.PEM), c.port)),
		metav1.PatchOptions{})
	c.check(err)
}

// deploy/README.md and certs/README.md, block after block as they stand there.
func TestDocumentsForAClusterRunAsTheyStand(t *testing.T) {
	c := newControlPlane(t, "etcd-3.6")
	c.kubectl("admin", "apply", "--server-side", "-f", rig.Peer(t, "cert-manager.yaml"))
	c.kubectl("admin", "wait", "--for=condition=Established", "--timeout=1m", "crd", "--all")
	c.records = rig.StartBackend(t, "etcd-3.6")
	out, err := exec.Command(rig.Strata(t, "strata-storage"), "load", "--etcd-servers="+c.records.URL,
		"../../deploy/samples").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c.startStrata()
	c.openshiftsEtcdSecrets()

	tree := c.copyOfTree()
	for _, block := range blocks(t, "deploy/README.md") {
		if strings.Contains(block, "kubectl get --raw") {
			rig.Contains(t, c.follow(tree, block), `"kind":"ImageStreamLayers"`)
			continue
		}
		c.follow(tree, block)
		if strings.Contains(block, "kubectl apply -k ../strata-cluster") {
			c.standInForNodes()
		}
	}
}

// A serving certificate made by hand, by another CA than before, is what kube-apiserver trusts afterwards.
func TestACertificateMadeByHandAsDocumentedIsTrusted(t *testing.T) {
	c := newCluster(t)
	folder, ca := t.TempDir(), rig.NewCA(t, "by-hand")
	c.check(os.WriteFile(filepath.Join(folder, "ca.crt"), ca.PEM, 0o600))
	c.check(os.WriteFile(filepath.Join(folder, "ca.key"), ca.KeyPEM(t), 0o600))
	for _, block := range blocks(t, "certs/README.md") {
		c.follow(folder, block)
	}
	rig.EventuallyWithin(t, time.Minute, "the old certificate isn't trusted", func() error {
		if ok, why := c.available(); ok || !strings.Contains(why, "certificate") {
			return fmt.Errorf("%v, %s", ok, why)
		}
		return nil
	})
	secret, err := c.client.CoreV1().Secrets("strata").Get(context.Background(), "strata-serving", metav1.GetOptions{})
	c.check(err)
	c.writePair("strata", secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
	c.awaitAvailable()
}

// What an OpenShift cluster has, of which a copy is made.
func (c *cluster) openshiftsEtcdSecrets() {
	c.t.Helper()
	ctx := context.Background()
	_, err := c.client.CoreV1().Namespaces().Create(ctx,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "openshift-etcd"}}, metav1.CreateOptions{})
	c.check(err)
	certificate, key := c.ca.Client(c.t, "etcd-client")
	_, err = c.client.CoreV1().Secrets("openshift-etcd").Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "etcd-client"}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: certificate, corev1.TLSPrivateKeyKey: key},
	}, metav1.CreateOptions{})
	c.check(err)
	_, err = c.client.CoreV1().ConfigMaps("openshift-etcd").Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "etcd-ca-bundle"}, Data: map[string]string{"ca-bundle.crt": string(c.ca.PEM)},
	}, metav1.CreateOptions{})
	c.check(err)
}
