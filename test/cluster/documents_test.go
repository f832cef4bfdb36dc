package cluster

import (
	"context"
	"crypto/tls"
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

// reader follows a document: the administrator of a new cluster, with a copy of the tree.
type reader struct {
	*cluster
	nodes  *nodes
	folder string // where blocks are run

	serviceCA *rig.CA // OpenShift's, once it has issued something
	theirs    string  // an object that was there before, and has to be there afterwards
}

// newReader has a new cluster; `flags` are added to its kube-apiserver's.
func newReader(t *testing.T, flags ...string) *reader {
	t.Helper()
	c := newControlPlane(t, "etcd-3.6", flags...)
	r := &reader{cluster: c, nodes: newNodes(c), folder: c.path("tree")}
	for _, folder := range []string{"deploy", "certs"} {
		c.check(os.CopyFS(filepath.Join(r.folder, folder), os.DirFS(filepath.Join("../..", folder))))
	}
	c.check(os.MkdirAll(filepath.Join(r.folder, "build"), 0o700))
	c.check(os.Symlink(filepath.Dir(rig.Strata(t, "strata-storage")), filepath.Join(r.folder, "build/bin")))
	return r
}

// run is one block, as it stands in the document; what it printed.
func (r *reader) run(block string) string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", block)
	command.Dir = r.folder
	command.Env = append(os.Environ(), "KUBECONFIG="+r.path("admin.kubeconfig"), "HOME="+r.path("home"),
		"PATH="+filepath.Dir(rig.Peer(r.t, "kubectl"))+":"+os.Getenv("PATH"))
	out, err := command.CombinedOutput()
	if err != nil {
		r.t.Fatalf("%v:\n%s\n%s", err, block, out)
	}
	return string(out)
}

var (
	heading      = regexp.MustCompile(`(?m)^## (.*)$`)
	clusterBlock = regexp.MustCompile("(?s)<!-- run: cluster[^\n]* -->\n```sh\n(.*?)```\n")
)

// clusterBlocks are a document's blocks that are marked as a cluster's, by the heading that they stand under.
func clusterBlocks(t *testing.T, document string) map[string][]string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../..", document))
	if err != nil {
		t.Fatal(err)
	}
	text, found := string(content), map[string][]string{}
	places := heading.FindAllStringSubmatchIndex(text, -1)
	for i, place := range places {
		end := len(text)
		if i+1 < len(places) {
			end = places[i+1][0]
		}
		for _, block := range clusterBlock.FindAllStringSubmatch(text[place[1]:end], -1) {
			under := text[place[2]:place[3]]
			found[under] = append(found[under], block[1])
		}
	}
	return found
}

// A section's blocks in order: what the reader looks at, or what a cluster does by itself, after each.
type section struct {
	document, heading string
	after             []func(r *reader, printed string)
}

// follow is the sections, one after the other, in one cluster.
func (r *reader) follow(sections ...section) {
	r.t.Helper()
	for _, s := range sections {
		blocks := clusterBlocks(r.t, s.document)[s.heading]
		if len(blocks) != len(s.after) {
			r.t.Fatalf("%s, %s: %d blocks are marked as a cluster's, %d are known", s.document, s.heading, len(blocks),
				len(s.after))
		}
		for i, block := range blocks {
			printed := r.run(block)
			if s.after[i] != nil {
				s.after[i](r, printed)
			}
		}
	}
}

const (
	deploying, certificates = "deploy/README.md", "certs/README.md"
	adopting, operations    = "docs/adopting.md", "docs/operations.md"
)

var (
	plainCluster = section{adopting, "Alone", []func(*reader, string){
		func(r *reader, _ string) {
			r.issueAsCertManager()
			r.nodes.settle()
		},
		nil, // It has waited until the APIService is available and trusted.
		func(r *reader, printed string) { rig.Contains(r.t, printed, "16 written, 0 unchanged, 0 bad") },
		func(r *reader, printed string) { rig.Contains(r.t, printed, `"kind":"ImageStreamLayers"`) },
		func(r *reader, _ string) {
			rig.Contains(r.t, r.kubectl("nobody", "get", "--raw", rig.LayersPath("demo", "nodejs")), "ImageStreamLayers")
			if out, err := r.tryKubectl("nobody", "get", "--raw", rig.LayersPath("shop", "web")); err == nil {
				r.t.Errorf("a right that nobody gave: %s", out)
			}
		},
	}}
	onKind = section{deploying, "On kind", []func(*reader, string){
		func(r *reader, _ string) {
			r.nodes.settle()
			r.awaitAvailable()
		},
	}}
	besideTheAPI = section{adopting, "Beside an OpenShift cluster, on its API", []func(*reader, string){
		func(r *reader, _ string) {
			r.serviceCA = r.issueAsServiceCA()
			r.nodes.settle()
			r.awaitLayersGroup()
		},
		func(r *reader, printed string) { rig.Contains(r.t, printed, "nodejs") },
	}}
	besideTheEtcd = section{adopting, "Beside an OpenShift cluster, on its etcd", []func(*reader, string){
		func(r *reader, _ string) {
			r.serviceCA = r.issueAsServiceCA()
			r.nodes.settle()
			r.readsDirectly(r.serviceCA)
		},
	}}
	takenAway = section{adopting, "Taking it away", []func(*reader, string){
		func(r *reader, _ string) { r.nothingIsLeft() },
	}}
	byHand = section{certificates, "Make", []func(*reader, string){
		func(r *reader, _ string) {
			r.nodes.settle()
			r.awaitAvailable()
			r.awaitTrust(true)
		},
	}}
)

func TestAPlainClusterIsMadeAsDocumented(t *testing.T) {
	if !rig.InOwnNetwork(t) {
		return
	}
	r := newReader(t)
	r.defineCertManager()
	r.follow(plainCluster, takenAway)
}

func TestKindIsUsedAsDocumented(t *testing.T) {
	if !rig.InOwnNetwork(t) {
		return
	}
	newReader(t).follow(onKind, takenAway)
}

func TestOpenShiftsEtcdIsReadAsDocumented(t *testing.T) {
	if !rig.InOwnNetwork(t) {
		return
	}
	r := newReader(t)
	r.startOpenShiftsEtcd()
	r.follow(besideTheEtcd, takenAway)
}

func TestOpenShiftsAPIIsReadAsDocumented(t *testing.T) {
	if !rig.InOwnNetwork(t) {
		return
	}
	r := newReader(t)
	r.startOpenShiftsAPI()
	r.follow(besideTheAPI, takenAway)
}

// An installation whose certificates are nobody's but the reader's.
func TestACertificateIsMadeByHandAsDocumented(t *testing.T) {
	if !rig.InOwnNetwork(t) {
		return
	}
	r := newReader(t)
	overlay := filepath.Join(r.folder, "by-hand")
	r.check(os.MkdirAll(overlay, 0o700))
	r.check(os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), []byte(
		"resources: [../deploy/base]\ncomponents: [../deploy/components/storage, ../deploy/components/labels]\n"), 0o600))
	r.kubectl("admin", "apply", "-k", overlay)
	ca := rig.NewCA(t, "by-hand")
	r.check(os.WriteFile(filepath.Join(r.folder, "ca.crt"), ca.PEM, 0o600))
	r.check(os.WriteFile(filepath.Join(r.folder, "ca.key"), ca.KeyPEM(t), 0o600))
	r.follow(byHand)
	r.rotateTheServingCA(ca)
}

// rotateTheServingCA does what certs/README.md says of it in words.
func (r *reader) rotateTheServingCA(old *rig.CA) {
	r.t.Helper()
	bundle := func(bundle []byte) {
		r.t.Helper()
		_, err := r.apiServices().ApiregistrationV1().APIServices().Patch(context.Background(), "v1."+group,
			types.MergePatchType, []byte(fmt.Sprintf(`{"spec": {"caBundle": %q}}`, base64.StdEncoding.EncodeToString(bundle))),
			metav1.PatchOptions{})
		r.check(err)
	}
	next := rig.NewCA(r.t, "by-hand-2")
	bundle(next.PEM)
	r.awaitTrust(false)
	if ok, why := r.available(); !ok {
		r.t.Errorf("the condition tells of a certificate that isn't trusted, which certs/README.md denies: %s", why)
	}

	bundle(append(append([]byte{}, old.PEM...), next.PEM...))
	r.awaitTrust(true)
	certificate, key := next.Serving(r.t, "strata.strata.svc")
	_, err := r.client.CoreV1().Secrets("strata").Patch(context.Background(), "strata-serving", types.MergePatchType,
		[]byte(fmt.Sprintf(`{"data": {"tls.crt": %q, "tls.key": %q}}`, base64.StdEncoding.EncodeToString(certificate),
			base64.StdEncoding.EncodeToString(key))), metav1.PatchOptions{})
	r.check(err)
	r.nodes.refresh()
	rig.Eventually(r.t, "the new pair is served", func() error {
		connection, err := tls.Dial("tcp", "strata.strata.svc:443", &tls.Config{RootCAs: next.Pool()})
		if err == nil {
			connection.Close()
		}
		return err
	})
	bundle(next.PEM)
	r.awaitTrust(true)
}

// awaitTrust waits until kube-apiserver passes requests on, or doesn't.
func (r *reader) awaitTrust(want bool) {
	r.t.Helper()
	rig.Eventually(r.t, fmt.Sprintf("the certificate is trusted: %v", want), func() error {
		out, err := r.tryKubectl("admin", "get", "--raw", "/apis/"+group+"/v1")
		if want && err != nil {
			return fmt.Errorf("%s", out)
		}
		if !want && !strings.Contains(out, "the server is currently unable to handle the request") {
			return fmt.Errorf("%v: %s", err, out)
		}
		return nil
	})
}

// Each section that has blocks for a cluster is followed by a test.
func TestEveryBlockForAClusterIsFollowed(t *testing.T) {
	followed := map[string]bool{}
	for _, s := range []section{plainCluster, onKind, besideTheAPI, besideTheEtcd, inFront, takenAway, byHand, policies, backUp,
		restoreOnACluster} {
		followed[s.document+", "+s.heading] = true
	}
	for _, document := range []string{"README.md", operations, deploying, certificates, adopting} {
		for under := range clusterBlocks(t, document) {
			if !followed[document+", "+under] {
				t.Errorf("nothing follows %s, %s", document, under)
			}
		}
	}
}

// nothingIsLeft looks afterwards: the namespace is gone and not kept by an APIService without a server, and what was there
// before still is.
func (r *reader) nothingIsLeft() {
	r.t.Helper()
	ctx := context.Background()
	rig.EventuallyWithin(r.t, 2*time.Minute, "the namespace is gone", func() error {
		r.nodes.work()
		if _, err := r.client.CoreV1().Namespaces().Get(ctx, "strata", metav1.GetOptions{}); err == nil {
			return fmt.Errorf("still there")
		}
		return nil
	})
	left := r.kubectl("admin", "get", "clusterroles,clusterrolebindings,rolebindings,apiservices", "--all-namespaces",
		"-o", "name")
	for _, line := range strings.Split(left, "\n") {
		if line != r.theirs && (strings.Contains(line, "strata") || strings.Contains(line, group)) {
			r.t.Errorf("left: %s", line)
		}
	}
	rig.Contains(r.t, left, r.theirs)
}

// startOpenShiftsAPI is what an OpenShift cluster has: an API of images and image streams, which a Strata with the rights
// of the base serves here, and its APIService.
func (r *reader) startOpenShiftsAPI() {
	r.t.Helper()
	r.startOpenShiftsEtcd()
	r.createNamespace("openshift-apiserver")
	r.kubectl("admin", "apply", "-f", "../../deploy/base/namespace.yaml", "-f", "../../deploy/base/delegation.yaml")
	r.pair("strata", r.ca.Serving, "strata.openshift-apiserver.svc")
	r.strata = r.startStrataFrom(r.port, "--etcd-servers=https://etcd.openshift-etcd.svc:2379",
		"--etcd-cafile="+r.path("ca.crt"), "--etcd-certfile="+r.path("etcd-client.crt"),
		"--etcd-keyfile="+r.path("etcd-client.key"), "--etcd-prefix=openshift.io")
	r.leadTheGroup("openshift-apiserver")
	r.awaitAvailable()
	r.theirs = "apiservice.apiregistration.k8s.io/v1." + group
}

// startOpenShiftsEtcd is what an OpenShift cluster has: its etcd, with the records, and who may be its client.
func (r *reader) startOpenShiftsEtcd() {
	r.t.Helper()
	r.nodes.name("127.0.0.1", "etcd.openshift-etcd.svc")
	r.pair("etcd", r.ca.Serving, "etcd.openshift-etcd.svc")
	url := "https://127.0.0.1:2379"
	rig.Start(r.t, rig.Peer(r.t, "etcd"), "--data-dir="+r.path("openshift-etcd"), "--listen-client-urls="+url,
		"--advertise-client-urls="+url, "--listen-peer-urls=http://127.0.0.1:2380", "--cert-file="+r.path("etcd.crt"),
		"--key-file="+r.path("etcd.key"), "--trusted-ca-file="+r.path("ca.crt"), "--client-cert-auth", "--log-level=error")
	certificate, key := r.ca.Client(r.t, "etcd-client")
	r.writePair("etcd-client", certificate, key)
	rig.Eventually(r.t, "the records are loaded", func() error {
		out, err := exec.Command(rig.Strata(r.t, "strata-storage"), "load", "--etcd-servers="+url,
			"--etcd-cafile="+r.path("ca.crt"), "--etcd-certfile="+r.path("etcd-client.crt"),
			"--etcd-keyfile="+r.path("etcd-client.key"), "../../deploy/samples").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%v: %s", err, out)
		}
		return nil
	})
	ctx := context.Background()
	_, err := r.client.CoreV1().Namespaces().Create(ctx,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "openshift-etcd"}}, metav1.CreateOptions{})
	r.check(err)
	_, err = r.client.CoreV1().Secrets("openshift-etcd").Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "etcd-client"}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: certificate, corev1.TLSPrivateKeyKey: key},
	}, metav1.CreateOptions{})
	r.check(err)
	_, err = r.client.CoreV1().ConfigMaps("openshift-etcd").Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "etcd-ca-bundle"}, Data: map[string]string{"ca-bundle.crt": string(r.ca.PEM)},
	}, metav1.CreateOptions{})
	r.check(err)
}

// readsDirectly asks the Service by its name, as a registry would.
func (r *reader) readsDirectly(ca *rig.CA) {
	r.t.Helper()
	r.write("service-ca.crt", ca.PEM)
	out, err := exec.Command(rig.Peer(r.t, "kubectl"), "--server=https://strata.strata.svc",
		"--certificate-authority="+r.path("service-ca.crt"), "--token=admintoken", "--kubeconfig=/dev/null", "get", "--raw",
		rig.LayersPath("demo", "nodejs")).CombinedOutput()
	if err != nil {
		r.t.Fatalf("%v: %s", err, out)
	}
	rig.Contains(r.t, string(out), `"kind":"ImageStreamLayers"`)
}
