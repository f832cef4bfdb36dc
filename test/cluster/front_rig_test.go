package cluster

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"sigs.k8s.io/yaml"

	"strata/test/rig"
)

// A front is a pod of deploy/components/registry-front: its ConfigMap's files and its command, where only paths, ports and
// addresses are this machine's.
type front struct {
	c    *cluster
	dir  string
	port int
	user int // whose process it is, and whose files
}

// configMaps are those of an overlay, each by NAMESPACE/NAME without kustomize's suffix.
func (c *cluster) configMaps(overlay string) map[string]map[string]string {
	c.t.Helper()
	found := map[string]map[string]string{}
	for _, document := range strings.Split(c.kubectl("admin", "kustomize", overlay), "\n---\n") {
		var object struct {
			Kind     string
			Metadata struct{ Namespace, Name string }
			Data     map[string]string
		}
		c.check(yaml.Unmarshal([]byte(document), &object))
		if object.Kind == "ConfigMap" {
			name := object.Metadata.Namespace + "/" + object.Metadata.Name
			if object.Metadata.Namespace == "strata" {
				name = name[:strings.LastIndex(name, "-")]
			}
			found[name] = object.Data
		}
	}
	return found
}

// startFront runs one in a mode, "route" or "mirror", with what listens on `strata` as its Strata.
func (c *cluster) startFront(mode string, strata int) *front {
	c.t.Helper()
	// Short, since sockets are in it, and open to another user than root, whom a pod may not be.
	dir, err := os.MkdirTemp("", "front")
	c.check(err)
	c.t.Cleanup(func() { os.RemoveAll(dir) })
	f := &front{c: c, dir: dir, port: rig.FreePort(c.t)}
	command := []string{"sh"}
	if os.Geteuid() == 0 {
		f.user = 65532
		command = []string{"setpriv", "--reuid=65532", "--regid=65532", "--clear-groups", "sh"}
	}
	c.check(os.Chmod(dir, 0o755))
	health := rig.FreePort(c.t)
	here := strings.NewReplacer("/etc/front/", dir+"/etc/", "/run/front/", dir+"/run/", "8443", strconv.Itoa(f.port),
		"8081", strconv.Itoa(health))
	maps := c.configMaps("../../deploy/overlays/openshift-registry-front")
	for name, text := range maps["strata/strata-registry-front"] {
		if name == mode+".conf" {
			name = "layers.conf"
		}
		f.write("etc/config/"+name, here.Replace(text))
	}
	f.writeServing()
	f.write("etc/strata-ca/service-ca.crt", string(c.ca.PEM))
	f.write("etc/kube-ca/ca.crt", string(c.ca.PEM))
	f.write("run/log", "")
	f.write("registry.token", "registrytoken")
	f.write("service-ca.crt", string(c.ca.PEM))
	f.write("kubeconfig", strings.NewReplacer("https://strata-registry-front.strata.svc",
		fmt.Sprintf("https://127.0.0.1:%d", f.port), "/etc/strata-front-ca/", dir+"/",
		"/var/run/secrets/kubernetes.io/serviceaccount/token", dir+"/registry.token").Replace(
		maps[registryNamespace+"/strata-registry-front"]["kubeconfig"]))

	args := append([]string{"-c", `exec "$@" >>` + dir + "/run/log 2>&1", "_"}, command...)
	process := rig.Start(c.t, "sh", append([]string{"-c", "exec env KUBERNETES_SERVICE_HOST=127.0.0.1 " +
		"KUBERNETES_SERVICE_PORT=" + strconv.Itoa(c.kubePort) + " STRATA_HOST=127.0.0.1 STRATA_PORT=" +
		strconv.Itoa(strata) + ` sh "$@"`, "_"}, append(args, dir+"/etc/config/run.sh", "1")...)...)
	c.t.Cleanup(func() {
		process.Stop(syscall.SIGKILL)
		if pid, err := os.ReadFile(dir + "/run/nginx.pid"); err == nil {
			id, _ := strconv.Atoi(strings.TrimSpace(string(pid)))
			_ = syscall.Kill(id, syscall.SIGTERM)
		}
		if c.t.Failed() {
			text := f.log()
			c.t.Logf("the front said:\n%s", text[max(0, len(text)-3000):])
		}
	})
	rig.Eventually(c.t, "the front is ready", func() error {
		response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/healthz", health))
		if err == nil {
			response.Body.Close()
		}
		return err
	})
	return f
}

func (f *front) write(name, text string) {
	f.c.t.Helper()
	path := filepath.Join(f.dir, name)
	f.c.check(os.MkdirAll(filepath.Dir(path), 0o755))
	f.c.check(os.WriteFile(path, []byte(text), 0o600))
	if f.user != 0 {
		f.c.check(os.Chown(path, f.user, f.user))
		f.c.check(os.Chown(filepath.Dir(path), f.user, f.user))
	}
}

// writeServing issues the front's certificate anew, one file after the other.
func (f *front) writeServing() {
	f.c.t.Helper()
	certificate, key := f.c.ca.Serving(f.c.t, "strata-registry-front.strata.svc")
	f.write("etc/serving/tls.crt", string(certificate))
	f.write("etc/serving/tls.key", string(key))
}

func (f *front) log() []byte {
	text, err := os.ReadFile(filepath.Join(f.dir, "run/log"))
	f.c.check(err)
	return text
}

func (f *front) kubeconfig() string { return filepath.Join(f.dir, "kubeconfig") }

// reset closes the breaker.
func (f *front) reset() {
	f.c.t.Helper()
	pid, err := os.ReadFile(f.dir + "/run/nginx.pid")
	f.c.check(err)
	id, err := strconv.Atoi(strings.TrimSpace(string(pid)))
	f.c.check(err)
	c := f.c
	c.check(syscall.Kill(id, syscall.SIGHUP))
}

// awaitAnswer waits until a request for layers that began later is answered so; how long that took.
func (f *front) awaitAnswer(words ...string) time.Duration {
	f.c.t.Helper()
	began, before := time.Now(), lines(f.log(), words...)
	rig.Eventually(f.c.t, "the front answers layers "+strings.Join(words, " "), func() error {
		if lines(f.log(), words...) == before {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	return time.Since(began)
}

// A fake answers as nobody should in Strata's place, with Strata's certificate.
type fake struct {
	port   int
	answer atomic.Value // func(http.ResponseWriter)
	asked  atomic.Int64
	token  atomic.Value // the last one
}

func (c *cluster) startFake() *fake {
	c.t.Helper()
	f := &fake{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.asked.Add(1)
		f.token.Store(r.Header.Get("Authorization"))
		f.answer.Load().(func(http.ResponseWriter))(w)
	}))
	pair, err := tls.LoadX509KeyPair(c.path("strata.crt"), c.path("strata.key"))
	c.check(err)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	c.t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	f.port = server.Listener.Addr().(*net.TCPAddr).Port
	return f
}

func status(code int) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","code":%d}`, code)
	}
}

// says is what comes instead of an answer; then the connection ends.
func says(text string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		connection, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_, _ = connection.Write([]byte(text))
			connection.Close()
		}
	}
}
