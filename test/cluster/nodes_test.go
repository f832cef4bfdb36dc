package cluster

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/kubelet/pkg/cri/streaming/portforward"

	"strata/test/rig"
)

// What scheduler, kubelets, kube-proxy and the cluster's DNS would do, as far as Strata's pods need it: a pod is a
// process on an address of its own, a mounted volume a folder, a Service's address one that listens and dials a pod.
// It needs a network of its own (rig.InOwnNetwork). Not concurrent: all is done by settle, but for connections.
type nodes struct {
	c      *cluster
	hosts  string // the file that stands for DNS
	pods   map[types.UID]*pod
	routed map[string]bool
}

type pod struct {
	address string
	process *rig.Process
}

// newNodes registers one node, whose kubelet forwards ports.
func newNodes(c *cluster) *nodes {
	c.t.Helper()
	n := &nodes{c: c, hosts: rig.Hosts(), pods: map[types.UID]*pod{}, routed: map[string]bool{}}
	n.name("127.0.0.1", "localhost")
	kubelet := httptest.NewTLSServer(http.HandlerFunc(n.forward))
	c.t.Cleanup(kubelet.Close)
	ctx := context.Background()
	node, err := c.client.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}},
		metav1.CreateOptions{})
	c.check(err)
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(kubelet.Listener.Addr().(*net.TCPAddr).Port)
	_, err = c.client.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{})
	c.check(err)
	return n
}

// name lets names be found at an address.
func (n *nodes) name(address string, names ...string) {
	n.c.t.Helper()
	file, err := os.OpenFile(n.hosts, os.O_APPEND|os.O_WRONLY, 0)
	n.c.check(err)
	defer file.Close()
	_, err = fmt.Fprintln(file, address, strings.Join(names, " "))
	n.c.check(err)
}

// address gives loopback another address.
func (n *nodes) address(address string) {
	n.c.t.Helper()
	if out, err := exec.Command("ip", "addr", "add", address+"/32", "dev", "lo").CombinedOutput(); err != nil {
		n.c.t.Fatalf("ip addr add: %v: %s", err, out)
	}
}

// settle waits until each Deployment and StatefulSet of Strata's is rolled out, doing what nodes do.
func (n *nodes) settle() {
	n.c.t.Helper()
	rig.EventuallyWithin(n.c.t, 2*time.Minute, "what was applied is rolled out", func() error {
		n.work()
		return n.rolledOut()
	})
}

func (n *nodes) rolledOut() error {
	ctx := context.Background()
	deployments, err := n.c.client.AppsV1().Deployments("strata").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, it := range deployments.Items {
		if it.Status.ObservedGeneration < it.Generation || it.Status.UpdatedReplicas < *it.Spec.Replicas ||
			it.Status.ReadyReplicas < *it.Spec.Replicas || it.Status.Replicas > *it.Spec.Replicas {
			return fmt.Errorf("deployment %s: %+v", it.Name, it.Status)
		}
	}
	sets, err := n.c.client.AppsV1().StatefulSets("strata").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, it := range sets.Items {
		if it.Status.ObservedGeneration < it.Generation || it.Status.ReadyReplicas < *it.Spec.Replicas ||
			it.Status.CurrentRevision != it.Status.UpdateRevision {
			return fmt.Errorf("stateful set %s: %+v", it.Name, it.Status)
		}
	}
	if len(deployments.Items) == 0 {
		return fmt.Errorf("no deployment")
	}
	return nil
}

// work is one look at Strata's pods and Services.
func (n *nodes) work() {
	n.c.t.Helper()
	ctx := context.Background()
	pods, err := n.c.client.CoreV1().Pods("strata").List(ctx, metav1.ListOptions{})
	n.c.check(err)
	for i := range pods.Items {
		it := &pods.Items[i]
		switch {
		case it.DeletionTimestamp != nil:
			n.end(it)
		case it.Spec.NodeName == "":
			if err := n.c.client.CoreV1().Pods("strata").Bind(ctx, &corev1.Binding{
				ObjectMeta: metav1.ObjectMeta{Name: it.Name}, Target: corev1.ObjectReference{Kind: "Node", Name: "node"}},
				metav1.CreateOptions{}); err != nil {
				n.c.t.Logf("it may have been deleted since: %v", err)
			}
		case it.Spec.RestartPolicy == corev1.RestartPolicyNever:
			n.finish(it)
		case n.pods[it.UID] == nil:
			n.start(it)
		default:
			n.probe(it)
		}
	}
	services, err := n.c.client.CoreV1().Services("strata").List(ctx, metav1.ListOptions{})
	n.c.check(err)
	for i := range services.Items {
		n.route(&services.Items[i])
	}
}

// mount gives folders to the volumes of a pod's container; it says no while a Secret or a ConfigMap isn't there, as a
// kubelet waits for it.
func (n *nodes) mount(it *corev1.Pod, container corev1.Container) (map[string]string, bool) {
	n.c.t.Helper()
	folders := map[string]string{}
	for _, volume := range it.Spec.Volumes {
		folder := n.c.path(filepath.Join("volumes", it.Name, volume.Name))
		if claim := volume.PersistentVolumeClaim; claim != nil {
			folder = n.c.path(filepath.Join("claims", claim.ClaimName))
		}
		n.c.check(os.MkdirAll(folder, 0o700))
		if volume.Secret != nil {
			secret, err := n.c.client.CoreV1().Secrets("strata").Get(context.Background(), volume.Secret.SecretName,
				metav1.GetOptions{})
			if err != nil {
				return nil, false
			}
			for name, value := range secret.Data {
				n.c.check(os.WriteFile(filepath.Join(folder, name), value, 0o600))
			}
		}
		if volume.ConfigMap != nil && !n.mountConfigMap(volume.ConfigMap, folder) {
			return nil, false
		}
		for _, mount := range container.VolumeMounts {
			if mount.Name == volume.Name {
				folders[mount.MountPath] = folder
			}
		}
	}
	return folders, true
}

func (n *nodes) mountConfigMap(volume *corev1.ConfigMapVolumeSource, folder string) bool {
	n.c.t.Helper()
	it, err := n.c.client.CoreV1().ConfigMaps("strata").Get(context.Background(), volume.Name, metav1.GetOptions{})
	if err != nil {
		return false
	}
	items := volume.Items
	for key := range it.Data {
		if volume.Items == nil {
			items = append(items, corev1.KeyToPath{Key: key, Path: key})
		}
	}
	for _, item := range items {
		n.c.check(os.WriteFile(filepath.Join(folder, item.Path), []byte(it.Data[item.Key]), 0o644))
	}
	return true
}

// refresh writes what the Secrets hold by now into the folders of all pods, as a kubelet does every minute or so.
func (n *nodes) refresh() {
	n.c.t.Helper()
	pods, err := n.c.client.CoreV1().Pods("strata").List(context.Background(), metav1.ListOptions{})
	n.c.check(err)
	for i := range pods.Items {
		if _, ok := n.mount(&pods.Items[i], pods.Items[i].Spec.Containers[0]); !ok {
			n.c.t.Fatalf("pod %s: a Secret is gone", pods.Items[i].Name)
		}
	}
}

// start runs the pod's command line. Its paths are those of its folders, its 0.0.0.0 is the pod's address, the service
// account is a kubeconfig, and what takes long for the sake of a real network is short.
func (n *nodes) start(it *corev1.Pod) {
	n.c.t.Helper()
	container := it.Spec.Containers[0]
	folders, ok := n.mount(it, container)
	if !ok {
		return
	}
	made := &pod{address: fmt.Sprintf("10.1.0.%d", 1+len(n.pods))}
	n.address(made.address)
	if filepath.Base(container.Command[0]) == "sh" {
		made.process = n.startShell(made.address, container, folders)
		n.pods[it.UID] = made
		return
	}
	var args []string
	for _, arg := range container.Args {
		args = append(args, strings.Replace(inFolders(folders, arg), "0.0.0.0", made.address, 1))
	}
	program := filepath.Base(container.Command[0])
	switch program {
	case "strata-apiserver":
		args = append(args, "--kubeconfig="+n.c.path("strata.kubeconfig"), "--file-poll-interval=1s",
			"--shutdown-delay-duration=1s")
	case "layer-policy":
		args = append(args, "--kubeconfig="+n.c.path("policy.kubeconfig"), "--shutdown-delay=1s")
	}
	made.process = rig.Start(n.c.t, n.program(program), args...)
	n.pods[it.UID] = made
	if service := it.Spec.Subdomain; service != "" {
		n.name(made.address, service, service+".strata.svc")
	}
}

// inFolders is an argument whose path, if it has one, is in the folder of the deepest mount that holds it. A folder may itself be
// below what another mount is called.
func inFolders(folders map[string]string, flag string) string {
	path := flag[strings.Index(flag, "=")+1:]
	deepest := ""
	for mount := range folders {
		if strings.HasPrefix(path+"/", mount+"/") && len(mount) > len(deepest) {
			deepest = mount
		}
	}
	if deepest == "" {
		return flag
	}
	return strings.TrimSuffix(flag, path) + folders[deepest] + strings.TrimPrefix(path, deepest)
}

// program is what the container's image has.
func (n *nodes) program(name string) string {
	n.c.t.Helper()
	if name != "strata-apiserver" && name != "strata-storage" {
		return rig.Peer(n.c.t, name)
	}
	return rig.Strata(n.c.t, name)
}

// probe tells of the pod what its readiness probe says.
func (n *nodes) probe(it *corev1.Pod) {
	n.c.t.Helper()
	made, container := n.pods[it.UID], it.Spec.Containers[0]
	status, answer := corev1.ConditionFalse, container.ReadinessProbe.HTTPGet
	for _, port := range container.Ports {
		if answer.Port == intstr.FromString(port.Name) &&
			answers(fmt.Sprintf("%s://%s:%d%s", strings.ToLower(string(answer.Scheme)), made.address, port.ContainerPort,
				answer.Path)) {
			status = corev1.ConditionTrue
		}
	}
	for _, condition := range it.Status.Conditions {
		if condition.Type == corev1.PodReady && condition.Status == status {
			return
		}
	}
	it.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: made.address, PodIPs: []corev1.PodIP{{IP: made.address}}, HostIP: "127.0.0.1",
		Conditions: []corev1.PodCondition{
			{Type: corev1.PodReady, Status: status, LastTransitionTime: metav1.Now()},
			{Type: corev1.ContainersReady, Status: status, LastTransitionTime: metav1.Now()},
		},
	}
	_, err := n.c.client.CoreV1().Pods("strata").UpdateStatus(context.Background(), it, metav1.UpdateOptions{})
	if err != nil {
		n.c.t.Logf("status of %s: %v", it.Name, err) // Somebody changed it meanwhile; the next look says it.
	}
}

func answers(url string) bool {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport, Timeout: 5 * time.Second}).Get(url)
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// end stops a pod and lets its object go.
func (n *nodes) end(it *corev1.Pod) {
	n.c.t.Helper()
	if made := n.pods[it.UID]; made != nil {
		made.process.Stop(syscall.SIGTERM)
	}
	none := int64(0)
	_ = n.c.client.CoreV1().Pods("strata").Delete(context.Background(), it.Name,
		metav1.DeleteOptions{GracePeriodSeconds: &none, Preconditions: metav1.NewUIDPreconditions(string(it.UID))})
}

// route gives a Service its address.
func (n *nodes) route(service *corev1.Service) {
	n.c.t.Helper()
	address := service.Spec.ClusterIP
	if address == corev1.ClusterIPNone || n.routed[address] {
		return
	}
	n.routed[address] = true
	n.address(address)
	n.name(address, service.Name+".strata.svc")
	for _, port := range service.Spec.Ports {
		listener, err := net.Listen("tcp", fmt.Sprintf("%s:%d", address, port.Port))
		n.c.check(err)
		rig.Accept(n.c.t, listener, func(in net.Conn) { n.dial(in, service.Name, port.Name) })
	}
}

// dial joins a connection to one with a ready endpoint of a Service's.
func (n *nodes) dial(in net.Conn, service, name string) {
	defer in.Close()
	slices, err := n.c.client.DiscoveryV1().EndpointSlices("strata").List(context.Background(),
		metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service})
	if err != nil {
		return
	}
	for _, slice := range slices.Items {
		for _, port := range slice.Ports {
			for _, endpoint := range slice.Endpoints {
				if *port.Name == name && *endpoint.Conditions.Ready {
					join(in, fmt.Sprintf("%s:%d", endpoint.Addresses[0], *port.Port))
					return
				}
			}
		}
	}
}

// join copies both ways until both ends are done.
func join(in io.ReadWriter, address string) {
	out, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer out.Close()
	go func() {
		_, _ = io.Copy(out, in)
		_ = out.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(in, out)
}

// forward is kubelet's part of kubectl port-forward: /portForward/NAMESPACE/POD.
func (n *nodes) forward(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(r.URL.Path, "/")
	if len(parts) < 4 || parts[1] != "portForward" {
		http.NotFound(w, r)
		return
	}
	portforward.ServePortForward(w, r, forwarder{n.c}, parts[3], "", nil, time.Minute, time.Minute,
		portforward.SupportedProtocols)
}

type forwarder struct{ c *cluster }

func (f forwarder) PortForward(ctx context.Context, name string, _ types.UID, port int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	it, err := f.c.client.CoreV1().Pods("strata").Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	join(stream, fmt.Sprintf("%s:%d", it.Status.PodIP, port))
	return nil
}
