package cluster

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"strata/test/rig"
)

// kubectl of Debian's kubernetes-client, 1.20, which asks for the old discovery documents (./dev test unpacks it), and
// the newest module.
func TestOldAndNewKubectl(t *testing.T) {
	c := newCluster(t)
	c.storeApp()
	version, err := exec.Command("../../build/kubernetes-client/usr/bin/kubectl", "version", "--client").CombinedOutput()
	if !strings.Contains(string(version), `Minor:"20`) {
		t.Fatalf("kubectl 1.20 is needed: %v %s", err, version)
	}
	for name, path := range map[string]string{
		"1.20": "../../build/kubernetes-client/usr/bin/kubectl", "1.36": rig.Peer(t, "kubectl-newest")} {
		t.Run(name, func(t *testing.T) {
			run := func(user string, args ...string) (string, error) {
				out, err := exec.Command(path, append([]string{"--kubeconfig=" + c.path(user+".kubeconfig"),
					"--cache-dir=" + c.path("cache-"+name+user)}, args...)...).CombinedOutput()
				return string(out), err
			}
			// Available comes before kube-apiserver has merged our schemas, which it does a moment later.
			rig.EventuallyWithin(t, 2*time.Minute, "the schemas are merged", func() error {
				if out, err := run("nobody", "explain", "imagestreams"); err != nil {
					return fmt.Errorf("%v: %s", err, out)
				}
				return nil
			})
			for _, one := range []struct {
				user string
				args []string
				want string
			}{
				{"puller", []string{"get", "--raw", rig.LayersPath(namespace, "app")}, rig.Digest(12)},
				{"puller", []string{"api-versions"}, group + "/v1"},
				{"puller", []string{"api-resources", "--api-group=" + group}, "imagestreams"},
				{"nobody", []string{"explain", "imagestreams"}, "Tags, and what each of them has pointed at."},
				{"nobody", []string{"explain", "is.status.tags.items"}, "What a tag pointed at from a time on."},
				{"admin", []string{"get", "is", "app", "-n", namespace}, "app"},
				{"admin", []string{"get", "imagestream/app", "-n", namespace, "-o", "jsonpath={.status.tags[0].items[0].image}"},
					rig.Digest(1)},
				{"admin", []string{"get", "apiservice", "v1." + group}, "strata/strata"},
				{"puller", []string{"auth", "can-i", "get", "imagestreams." + group, "--subresource=layers", "-n",
					namespace}, "yes"},
			} {
				out, err := run(one.user, one.args...)
				if err != nil || !strings.Contains(out, one.want) {
					t.Errorf("kubectl %v: %v %s", one.args, err, out)
				}
			}
			if out, err := run("nobody", "get", "--raw", rig.LayersPath(namespace, "app")); err == nil {
				t.Errorf("nobody may read: %s", out)
			}
		})
	}
}

func TestOtherLanguagesClients(t *testing.T) {
	c := newCluster(t)
	c.storeApp()
	for name, command := range map[string][]string{
		"Python":     {"/usr/bin/python3", "python/read_layers.py"},
		"JavaScript": {"node", rig.Peer(t, "js") + "/read_layers.mjs"},
	} {
		t.Run(name, func(t *testing.T) {
			ask := func(user, name string) (string, error) {
				out, err := exec.Command(command[0],
					append(command[1:], c.path(user+".kubeconfig"), namespace, name)...).CombinedOutput()
				return string(out), err
			}
			out, err := ask("puller", "app")
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			var layers struct {
				Kind   string
				Images map[string]struct{ Layers []string }
			}
			lines := strings.Split(strings.TrimSpace(out), "\n")
			if err := json.Unmarshal([]byte(lines[len(lines)-1]), &layers); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if layers.Kind != "ImageStreamLayers" || len(layers.Images[rig.Digest(1)].Layers) != 2 {
				t.Errorf("got %s", out)
			}
			if out, err := ask("puller", "nope"); err == nil || !strings.Contains(out, "not found") {
				t.Errorf("a stream that isn't there: %v %s", err, out)
			}
			if out, err := ask("nobody", "app"); err == nil || !strings.Contains(out, "forbidden") {
				t.Errorf("nobody: %v %s", err, out)
			}
		})
	}
}
