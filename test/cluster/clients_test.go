package cluster

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"strata/test/rig"
)

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
