package cluster

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"strata/test/rig"
)

// What the registry's operator gives its service account (cluster-image-registry-operator pkg/resource/clusterrole.go).
const registryRole = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "system:registry"}
rules:
- {apiGroups: [""], resources: [limitranges, resourcequotas], verbs: [list]}
- {apiGroups: [image.openshift.io], resources: [imagestreamimages, imagestreams/layers, imagestreams/secrets], verbs: [get]}
- {apiGroups: [image.openshift.io], resources: [imagestreams], verbs: [get, update]}
- {apiGroups: [image.openshift.io], resources: [imagestreamtags], verbs: [delete]}
- {apiGroups: [image.openshift.io], resources: [images], verbs: [get, update, create]}
- {apiGroups: [image.openshift.io], resources: [imagestreammappings], verbs: [create]}
- {apiGroups: [operator.openshift.io], resources: [imagecontentsourcepolicies], verbs: [list]}
- {apiGroups: [config.openshift.io], resources: [imagedigestmirrorsets, imagetagmirrorsets], verbs: [list]}
- {apiGroups: [authorization.k8s.io], resources: [subjectaccessreviews], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: registry-registry-role}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:registry"}
subjects: [{kind: User, name: "system:serviceaccount:openshift-image-registry:registry"}]
`

// A fronted cluster: openshift-apiserver's part is played by a Strata behind the aggregator; another one, behind
// proxies, is the front's.
type fronted struct {
	*cluster
	second     *rig.Process
	secondPort int
	before     *rig.Proxy // of the second one
	behind     *rig.Proxy // between that one and its records
	fake       *fake
	direct     string // a kubeconfig for the registry without a front
	want       []reply
}

func newFronted(t *testing.T) *fronted {
	t.Helper()
	c := newControlPlane(t, "etcd-3.6", "--audit-policy-file=DIR/audit-policy.json", "--audit-log-path=DIR/audit.log")
	c.records = rig.StartBackend(t, "etcd-3.6")
	c.startStrata()
	c.register()
	f := &fronted{cluster: c, secondPort: rig.FreePort(t), fake: c.startFake()}
	f.behind = rig.NewProxy(t, c.records.URL)
	behind := *c
	behind.records = &rig.Backend{URL: f.behind.URL}
	// The component's flag.
	f.second = behind.startStrataOn(f.secondPort, "--freshness-read-timeout=1s")
	f.before = rig.NewProxy(t, at(f.secondPort))
	c.kubectl("admin", "apply", "-f", c.write("registry.yaml", []byte(registryRole)))
	c.storeApp()
	c.awaitAvailable()
	c.awaitLayers("layers")
	f.awaitSecond()
	f.direct = c.write("registry.kubeconfig", c.kubeconfig("registrytoken"))
	f.want = newRegistry(t, f.direct).every()
	return f
}

func at(port int) string { return fmt.Sprintf("https://127.0.0.1:%d", port) }

// lead has the front come to another server in place of the second Strata, by new connections.
func (f *fronted) lead(port int) {
	f.before.Lead(at(port))
	f.before.Reset()
}

func (f *fronted) startFrontOfSecond(mode string) *front {
	f.t.Helper()
	before, err := url.Parse(f.before.URL)
	f.check(err)
	port, err := strconv.Atoi(before.Port())
	f.check(err)
	return f.startFront(mode, port)
}

func (f *fronted) awaitSecond() {
	f.t.Helper()
	rig.EventuallyWithin(f.t, time.Minute, "the second Strata is ready", func() error {
		if code, body := f.askOn(f.secondPort, "/readyz", direct{}); code != http.StatusOK {
			return fmt.Errorf("%d %s", code, body)
		}
		return nil
	})
}

// A fault of the front's Strata, and what ends it.
type fault struct {
	name       string
	begin, end func()
	elsewhere  bool   // by leading the front to another server, which it is to come to by a connection of its own
	tried      string // what the front's log says of requests that met it
}

func (f *fronted) faults() []fault {
	answers := func(name string, answer func(http.ResponseWriter), tried string) fault {
		return fault{name, func() {
			f.fake.answer.Store(answer)
			f.lead(f.fake.port)
		}, func() { f.lead(f.secondPort) }, true, tried}
	}
	opened := "tried=[418"
	faults := []fault{
		{"stopped", func() { f.second.Signal(syscall.SIGSTOP) }, func() { f.second.Signal(syscall.SIGCONT) }, false, opened},
		{"killed", func() { f.second.Stop(syscall.SIGKILL) }, func() {
			f.second.Launch()
			f.awaitSecond()
		}, false, opened},
		{"slow", func() { f.before.Set(rig.Fault{Delay: 4 * time.Second}) }, func() {
			f.before.Set(rig.Fault{})
			f.lead(f.secondPort)
		}, false, opened},
		{"cut off from its etcd", func() { f.behind.Set(rig.Fault{Silent: true}) }, func() {
			f.behind.Set(rig.Fault{})
			f.awaitSecond()
		}, false, opened},
		{"another's certificate", func() { f.lead(f.kubePort) }, func() { f.lead(f.secondPort) }, true, opened},
		answers("an answer that comes late", func(w http.ResponseWriter) {
			time.Sleep(3 * time.Second)
			status(http.StatusOK)(w)
		}, opened),
		answers("no answer", says(""), opened),
		answers("a broken header", says("HTTP/1.1 200 OK\r\nA\x00: b\r\n\r\n"), opened),
	}
	for _, code := range []int{401, 403, 404, 429, 500} {
		faults = append(faults, answers(fmt.Sprint(code), status(code), fmt.Sprintf("tried=[%d", code)))
	}
	return append(faults, answers("503", status(503), opened))
}

// The registry's calls, while the front's Strata fails in every way: each has the answer that it has without a front.
func TestNoCallOfTheRegistryFailsBehindTheFront(t *testing.T) {
	f := newFronted(t)
	front := f.startFrontOfSecond("route")
	front.awaitStrata(f)
	for name, kubeconfig := range map[string]string{"without the front": f.direct, "through it": front.kubeconfig()} {
		alone := &load{registries: []*registry{newRegistry(t, kubeconfig)}}
		for range 150 {
			alone.registries[0].call(2)
		}
		t.Logf("one by one, %s: %s", name, alone.since(time.Time{}))
	}
	load := startLoad(t, front.kubeconfig(), f.want)
	share := func() (int, int) {
		log := front.log()
		return lines(log, "app/layers", "by=kube-apiserver"), lines(log, "app/layers", "by=strata")
	}
	kube, strata := share()
	began := time.Now()
	tell := func(name, more string) {
		nowKube, nowStrata := share()
		byKube, all := nowKube-kube, nowKube+nowStrata-kube-strata
		t.Logf("%-26s %s; %d of %d from kube-apiserver%s", name, load.since(began), byKube, all, more)
		kube, strata = nowKube, nowStrata
	}
	time.Sleep(2 * time.Second)
	tell("no fault", "")

	for i, fault := range f.faults() {
		kube, strata = share()
		began = time.Now()
		fault.begin()
		if fault.elsewhere {
			front.reset()
		}
		met := front.awaitAnswer("by=kube-apiserver", "app/layers", fault.tried)
		if i == 0 {
			time.Sleep(2500 * time.Millisecond) // Until nobody waits for it any more.
		}
		time.Sleep(500 * time.Millisecond)
		tell(fault.name, fmt.Sprintf("; so after %.0f ms", milliseconds(met)))
		fault.end()
		if i > 0 {
			front.reset() // It needn't be waited for each time.
		}
		closed := front.awaitAnswer("by=strata", "app/layers", "tried=[200]")
		if i == 0 {
			t.Logf("%-26s asked again after %.1f s", fault.name, closed.Seconds())
		}
	}

	before := front.served()
	front.writeServing()
	rig.Eventually(t, "the new certificate is served", func() error {
		if front.served() == before {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	front.awaitAnswer("by=strata", "app/layers", "tried=[200]")
	load.end(t)
	for _, secret := range []string{"registrytoken", "pullertoken", "Bearer", "Authorization"} {
		if bytes.Contains(front.log(), []byte(secret)) {
			t.Errorf("the front's log has %q", secret)
		}
	}

	t.Run("a mirror answers by kube-apiserver alone", f.mirrors)
	t.Run("kube-apiserver sees the same users", f.audited)
}

// awaitStrata: it answers layers from Strata.
func (f *front) awaitStrata(in *fronted) {
	f.c.t.Helper()
	r := newRegistry(f.c.t, f.kubeconfig())
	rig.Eventually(f.c.t, "layers come from Strata", func() error {
		if wrong := differs(2, r.call(2), in.want[2]); wrong != "" {
			f.c.t.Fatal(wrong)
		}
		if lines(f.log(), "by=strata", "tried=[200]") == 0 {
			return fmt.Errorf("from kube-apiserver")
		}
		return nil
	})
}

// served is the number of the front's certificate.
func (f *front) served() string {
	connection, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", f.port), &tls.Config{
		RootCAs: f.c.ca.Pool(), ServerName: "strata-registry-front.strata.svc"})
	if err != nil {
		return err.Error()
	}
	defer connection.Close()
	return connection.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func (f *fronted) mirrors(t *testing.T) {
	front := f.startFrontOfSecond("mirror")
	r := newRegistry(t, front.kubeconfig())
	check := func(during string) {
		t.Helper()
		for i, got := range r.every() {
			if wrong := differs(i, got, f.want[i]); wrong != "" {
				t.Errorf("%s: %s", during, wrong)
			}
		}
	}
	check("Strata answers")
	rig.Eventually(t, "Strata's answers are in the log", func() error {
		if lines(front.log(), "mirrored", "app/layers", "tried=[200]") == 0 {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	asked := f.fake.asked.Load()
	f.fake.answer.Store(func(w http.ResponseWriter) { fmt.Fprint(w, `{"kind":"Lie"}`) })
	f.lead(f.fake.port)
	check("Strata lies")
	rig.Eventually(t, "Strata is asked by the registry's token", func() error {
		if f.fake.asked.Load() == asked || f.fake.token.Load() != "Bearer registrytoken" {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	f.lead(f.secondPort)
	f.second.Signal(syscall.SIGSTOP)
	began := time.Now()
	check("Strata is stopped")
	t.Logf("all calls with Strata stopped: %v", time.Since(began).Round(time.Millisecond))
	f.second.Signal(syscall.SIGCONT)
	if n := lines(front.log(), "by=strata"); n > 0 {
		t.Errorf("%d answers were Strata's", n)
	}
}

// audited compares what kube-apiserver's audit log says of each call, directly and through a front without a Strata.
func (f *fronted) audited(t *testing.T) {
	front := f.startFront("route", rig.FreePort(t))
	events := func(kubeconfig string) []string {
		t.Helper()
		before := len(f.auditLog(t))
		for i, got := range newRegistry(t, kubeconfig).every() {
			if wrong := differs(i, got, f.want[i]); wrong != "" {
				t.Error(wrong)
			}
		}
		found := f.auditLog(t)[before:]
		slices.Sort(found)
		return found
	}
	without, with := events(f.direct), events(front.kubeconfig())
	if len(without) < len(registryCalls) || !slices.Equal(without, with) {
		t.Errorf("without the front:\n%s\nwith it:\n%s", strings.Join(without, "\n"), strings.Join(with, "\n"))
	}
}

// auditLog is what kube-apiserver says of the registry's calls: who, with what, asked for what, and what came.
func (f *fronted) auditLog(t *testing.T) []string {
	t.Helper()
	file, err := os.Open(f.path("audit.log"))
	f.check(err)
	defer file.Close()
	var found []string
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		var event struct {
			Verb, RequestURI, UserAgent string
			User                        struct {
				Username string
				Groups   []string
			}
			ResponseStatus struct{ Code int }
		}
		f.check(json.Unmarshal(scanner.Bytes(), &event))
		if strings.HasPrefix(event.UserAgent, "dockerregistry/") {
			found = append(found, fmt.Sprint(event.User.Username, event.User.Groups, " ", event.Verb, " ", event.RequestURI,
				" ", event.UserAgent, " ", event.ResponseStatus.Code))
		}
	}
	return found
}
