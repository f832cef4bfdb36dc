// Package cluster tests Strata as a citizen of a cluster: behind a real kube-apiserver's aggregator, with the flags of
// deploy/.
package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"
	"sigs.k8s.io/yaml"

	"strata/test/rig"
)

const (
	group       = "image.openshift.io"
	layersGroup = "layers.strata.dev"
	namespace   = "demo"

	registryNamespace = "openshift-image-registry"
)

// A control plane: etcd, kube-apiserver, kube-controller-manager and Strata, all on loopback.
type cluster struct {
	t           *testing.T
	dir         string
	ca          *rig.CA // of everything but the aggregator's proxy certificate
	proxyCA     *rig.CA
	etcd        *rig.Backend
	records     *rig.Backend // Strata's backend
	kube        *rig.Process
	strata      *rig.Process
	controllers *rig.Process
	kubePort    int
	port        int // Strata's
	config      *rest.Config
	client      *kubernetes.Clientset
}

// newCluster starts everything, registers Strata, and waits until it is available. `flags` are added to those of
// deploy/.
func newCluster(t *testing.T, flags ...string) *cluster {
	t.Helper()
	c := newControlPlane(t, "etcd-3.6")
	c.records = rig.StartBackend(t, "etcd-3.6")
	c.startStrata(flags...)
	c.register()
	c.awaitAvailable()
	return c
}

// newControlPlane starts all but Strata, on a backend by its name. `flags` are added to kube-apiserver's; one that names
// a file of the cluster's begins its value with DIR.
func newControlPlane(t *testing.T, backend string, flags ...string) *cluster {
	t.Helper()
	c := &cluster{
		t: t, dir: t.TempDir(), ca: rig.NewCA(t, "ca"), proxyCA: rig.NewCA(t, "front-proxy-ca"),
		kubePort: rig.FreePort(t), port: rig.FreePort(t),
	}
	c.etcd = rig.StartBackend(t, backend)
	c.writeIdentities()
	c.startKube(flags...)
	c.startControllers()
	return c
}

func (c *cluster) path(name string) string { return filepath.Join(c.dir, name) }

func (c *cluster) write(name string, content []byte) string {
	c.t.Helper()
	// Whole or not at all: processes read these files while they change.
	path := c.path(name)
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		c.t.Fatal(err)
	}
	return path
}

func (c *cluster) writePair(name string, certificate, key []byte) {
	c.write(name+".key", key)
	c.write(name+".crt", certificate)
}

func (c *cluster) writeIdentities() {
	c.write("ca.crt", c.ca.PEM)
	c.write("front-proxy-ca.crt", c.proxyCA.PEM)
	certificate, key := c.ca.Serving(c.t, "localhost", "kubernetes.default.svc")
	c.writePair("kube-apiserver", certificate, key)
	c.pair("strata", c.ca.Serving, "strata.strata.svc")
	c.pair("front-proxy", func(t *testing.T, names ...string) ([]byte, []byte) {
		return c.proxyCA.Client(t, names[0])
	}, "front-proxy-client")
	private, public := rig.KeyPair(c.t)
	c.write("sa.key", private)
	c.write("sa.pub", public)
	// One line for each event, whole once its request is answered; told to kube-apiserver where a test reads it.
	c.write("audit-policy.json", []byte(`{"apiVersion": "audit.k8s.io/v1", "kind": "Policy",
		"omitStages": ["RequestReceived"], "rules": [{"level": "Metadata"}]}`))
	c.write("tokens.csv", []byte("admintoken,admin,1,system:masters\npullertoken,puller,2,devs\nnobodytoken,nobody,3,devs\n"+
		"stratatoken,system:serviceaccount:strata:strata-apiserver,4,system:serviceaccounts\n"+
		"registrytoken,system:serviceaccount:"+registryNamespace+":registry,5,system:serviceaccounts\n"+
		"policytoken,system:serviceaccount:strata:strata-layer-policy,6,system:serviceaccounts\n"))
	for _, user := range []string{"admin", "puller", "nobody", "strata", "policy"} {
		c.write(user+".kubeconfig", c.kubeconfig(user+"token"))
	}
}

func (c *cluster) pair(name string, issue func(*testing.T, ...string) ([]byte, []byte), subject string) {
	certificate, key := issue(c.t, subject)
	c.writePair(name, certificate, key)
}

func (c *cluster) kubeconfig(token string) []byte { return c.kubeconfigAt(c.kubePort, token) }

func (c *cluster) kubeconfigAt(port int, token string) []byte {
	return []byte(fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:%d", certificate-authority: ca.crt}}]
users: [{name: u, user: {token: %s}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`, port, token))
}

func (c *cluster) startKube(flags ...string) {
	c.t.Helper()
	args := []string{"--etcd-servers=" + c.etcd.URL,
		// An address for documentation (RFC 5737), told to nobody: a network that is loopback alone has none to find.
		"--bind-address=127.0.0.1", "--advertise-address=192.0.2.1", fmt.Sprintf("--secure-port=%d", c.kubePort),
		"--tls-cert-file=" + c.path("kube-apiserver.crt"), "--tls-private-key-file=" + c.path("kube-apiserver.key"),
		"--client-ca-file=" + c.path("ca.crt"), "--token-auth-file=" + c.path("tokens.csv"),
		"--authorization-mode=RBAC", "--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.0.0.0/24",
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=" + c.path("sa.pub"),
		"--service-account-signing-key-file=" + c.path("sa.key"), "--disable-admission-plugins=ServiceAccount",
		"--proxy-client-cert-file=" + c.path("front-proxy.crt"), "--proxy-client-key-file=" + c.path("front-proxy.key"),
		"--requestheader-client-ca-file=" + c.path("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client", "--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group", "--requestheader-extra-headers-prefix=X-Remote-Extra-"}
	for _, flag := range flags {
		args = append(args, strings.Replace(flag, "=DIR/", "="+c.dir+"/", 1))
	}
	c.kube = rig.Start(c.t, rig.Peer(c.t, "kube-apiserver"), args...)
	c.config = &rest.Config{
		Host: fmt.Sprintf("https://127.0.0.1:%d", c.kubePort), BearerToken: "admintoken", QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: c.ca.PEM},
	}
	c.client = kubernetes.NewForConfigOrDie(c.config)
	c.awaitKube()
}

func (c *cluster) awaitKube() {
	c.t.Helper()
	rig.EventuallyWithin(c.t, time.Minute, "kube-apiserver is ready", func() error {
		return c.client.RESTClient().Get().AbsPath("/readyz").Do(context.Background()).Error()
	})
}

func (c *cluster) startControllers() {
	c.t.Helper()
	c.controllers = rig.Start(c.t, rig.Peer(c.t, "kube-controller-manager"), "--kubeconfig="+c.path("admin.kubeconfig"),
		"--leader-elect=false", "--secure-port=0", "--use-service-account-credentials=false",
		"--root-ca-file="+c.path("ca.crt"),
		"--controllers=namespace-controller,clusterrole-aggregation-controller,resourcequota-controller,"+
			"garbage-collector-controller,serviceaccount-controller,root-ca-certificate-publisher-controller,"+
			"deployment-controller,job-controller,replicaset-controller,statefulset-controller,endpointslice-controller,"+
			"persistentvolumeclaim-protection-controller",
		"--concurrent-namespace-syncs=2", "--namespace-sync-period=10s")
}

// manifestArgs are the flags that deploy/base gives to the container.
func manifestArgs(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/base/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var deployment struct {
		Spec struct {
			Template struct {
				Spec struct{ Containers []struct{ Args []string } }
			}
		}
	}
	if err := yaml.Unmarshal(text, &deployment); err != nil {
		t.Fatal(err)
	}
	return deployment.Spec.Template.Spec.Containers[0].Args
}

// startStrata runs the container's command line: its paths, its port and the pod's identity are this machine's instead.
func (c *cluster) startStrata(flags ...string) {
	c.t.Helper()
	c.strata = c.startStrataOn(c.port, flags...)
}

func (c *cluster) startStrataOn(port int, flags ...string) *rig.Process {
	c.t.Helper()
	return c.startStrataFrom(port, append([]string{"--etcd-servers=" + c.records.URL}, flags...)...)
}

// startStrataFrom is told by the flags where its records are.
func (c *cluster) startStrataFrom(port int, flags ...string) *rig.Process {
	c.t.Helper()
	var args []string
	for _, arg := range manifestArgs(c.t) {
		switch {
		case strings.HasPrefix(arg, "--secure-port="):
			arg = fmt.Sprintf("--secure-port=%d", port)
		case strings.HasPrefix(arg, "--bind-address="):
			arg = "--bind-address=127.0.0.1"
		case strings.HasPrefix(arg, "--shutdown-delay-duration="):
			arg = "--shutdown-delay-duration=1s"
		}
		arg = strings.Replace(arg, "/etc/strata/serving/tls", c.path("strata"), 1)
		arg = strings.Replace(arg, "/var/cache/strata/records", c.path(fmt.Sprintf("cache-%d", port)), 1)
		args = append(args, arg)
	}
	args = append(args, "--kubeconfig="+c.path("strata.kubeconfig"), "--file-poll-interval=1s", "-v=2")
	for _, flag := range flags {
		args = append(args, strings.Replace(flag, "=sa.pub", "="+c.path("sa.pub"), 1))
	}
	return rig.Start(c.t, rig.Strata(c.t, "strata-apiserver"), args...)
}

// register applies what deploy/ would: the delegation's bindings, the users' rights, Service and APIService.
func (c *cluster) register() {
	c.t.Helper()
	ctx := context.Background()
	for _, name := range []string{"strata", namespace} {
		_, err := c.client.CoreV1().Namespaces().Create(ctx,
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		c.check(err)
	}
	for _, file := range []string{"delegation.yaml", "roles.yaml", "layers.yaml"} {
		c.kubectl("admin", "apply", "-f", "../../deploy/base/"+file)
	}
	_, err := c.client.RbacV1().RoleBindings(namespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "pullers"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:image-puller"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "puller"}},
	}, metav1.CreateOptions{})
	c.check(err)
	c.leadTheGroup("strata")
	c.kubectl("admin", "patch", "apiservice", "v1alpha1."+layersGroup, "--type=merge", "-p", fmt.Sprintf(
		`{"spec": {"caBundle": %q, "service": {"port": %d}}}`, base64.StdEncoding.EncodeToString(c.ca.PEM), c.port))
}

// leadTheGroup has kube-apiserver ask c.strata for image.openshift.io, by a Service of the namespace.
func (c *cluster) leadTheGroup(namespace string) {
	c.t.Helper()
	ctx := context.Background()
	_, err := c.client.CoreV1().Services(namespace).Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "strata"},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost",
			Ports: []corev1.ServicePort{{Name: "https", Port: 443, TargetPort: intstr.FromInt(c.port)}}},
	}, metav1.CreateOptions{})
	c.check(err)
	port := int32(c.port)
	_, err = c.apiServices().ApiregistrationV1().APIServices().Create(ctx, &apiregistration.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: "v1." + group},
		Spec: apiregistration.APIServiceSpec{
			Group: group, Version: "v1", GroupPriorityMinimum: 9900, VersionPriority: 15, CABundle: c.ca.PEM,
			Service: &apiregistration.ServiceReference{Namespace: namespace, Name: "strata", Port: &port},
		},
	}, metav1.CreateOptions{})
	c.check(err)
}

func (c *cluster) apiServices() aggregator.Interface { return aggregator.NewForConfigOrDie(c.config) }

func (c *cluster) check(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// available is the APIService's condition, and why.
func (c *cluster) available() (bool, string) {
	service, err := c.apiServices().ApiregistrationV1().APIServices().Get(context.Background(), "v1."+group,
		metav1.GetOptions{})
	if err != nil {
		return false, err.Error()
	}
	for _, condition := range service.Status.Conditions {
		if condition.Type == apiregistration.Available {
			return condition.Status == apiregistration.ConditionTrue, condition.Reason + ": " + condition.Message
		}
	}
	return false, "no condition yet"
}

func (c *cluster) awaitAvailable() {
	c.t.Helper()
	rig.EventuallyWithin(c.t, time.Minute, "the APIService is available", func() error {
		if ok, why := c.available(); !ok {
			return fmt.Errorf("%s", why)
		}
		return nil
	})
	// The aggregator routes a little later than it says so, and what it tells of all groups is later still.
	rig.EventuallyWithin(c.t, time.Minute, "the groups are discovered", func() error {
		_, err := c.client.Discovery().ServerResourcesForGroupVersion(group + "/v1")
		if err == nil {
			_, _, err = c.client.Discovery().ServerGroupsAndResources()
		}
		return err
	})
}

// store puts a record into Strata's backend.
func (c *cluster) store(key, value string) {
	c.t.Helper()
	rig.Put(c.t, c.records.Client(c.t), key, value)
}

// remove deletes a record from Strata's backend.
func (c *cluster) remove(key string) {
	c.t.Helper()
	_, err := c.records.Client(c.t).Delete(context.Background(), key)
	c.check(err)
}

// storeApp is an image stream demo/app with one image of two layers.
func (c *cluster) storeApp() {
	c.t.Helper()
	c.store(rig.ImageKey(rig.Digest(1)), rig.ImageValue(c.t, rig.Digest(1), rig.Digest(11), rig.Digest(12)))
	c.store(rig.StreamKey(namespace, "app"), rig.StreamValue(c.t, namespace, "app", rig.Digest(1)))
}

// configOf is a user's access through the aggregator.
func (c *cluster) configOf(user string) *rest.Config {
	config := rest.CopyConfig(c.config)
	config.BearerToken = user + "token"
	return config
}

// kubectl is the output of one call as a user; the test fails if the call does.
func (c *cluster) kubectl(user string, args ...string) string {
	c.t.Helper()
	out, err := c.tryKubectl(user, args...)
	if err != nil {
		c.t.Fatalf("kubectl %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return out
}

func (c *cluster) tryKubectl(user string, args ...string) (string, error) {
	out, err := terminal{c, "", rig.Peer(c.t, "kubectl")}.command(user, args...).CombinedOutput()
	return string(out), err
}

// A request past the aggregator, straight to Strata.
type direct struct {
	certificate *tls.Certificate
	headers     http.Header
	http1       bool
}

func (c *cluster) ask(path string, how direct) (int, string) { return c.askOn(c.port, path, how) }

func (c *cluster) askOn(port int, path string, how direct) (int, string) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.ca.PEM)
	config := &tls.Config{RootCAs: roots, ServerName: "strata.strata.svc"}
	if how.certificate != nil {
		// Also to a server that doesn't name its CA.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return how.certificate, nil
		}
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: !how.http1}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequest("GET", fmt.Sprintf("https://127.0.0.1:%d%s", port, path), nil)
	c.check(err)
	if how.headers != nil {
		request.Header = how.headers
	}
	response, err := (&http.Client{Transport: transport, Timeout: rig.Patience}).Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}
