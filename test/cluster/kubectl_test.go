package cluster

import (
	"bufio"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	imagev1 "github.com/openshift/api/image/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strata/test/rig"
)

// kubectls are paths by versions: of Debian's kubernetes-client, 1.20, which asks for the old discovery documents
// (./dev test unpacks it), of the tests' own Kubernetes, and the newest module.
func kubectls(t *testing.T) map[string]string {
	t.Helper()
	old := "../../build/kubernetes-client/usr/bin/kubectl"
	version, err := exec.Command(old, "version", "--client").CombinedOutput()
	if !strings.Contains(string(version), `Minor:"20`) {
		t.Fatalf("kubectl 1.20 is needed: %v %s", err, version)
	}
	return map[string]string{"1.20": old, "1.34": rig.Peer(t, "kubectl"), "newest": rig.Peer(t, "kubectl-newest")}
}

// A terminal runs one kubectl.
type terminal struct {
	c             *cluster
	version, path string
}

func (k terminal) command(user string, args ...string) *exec.Cmd {
	return exec.Command(k.path, append([]string{"--kubeconfig=" + k.c.path(user+".kubeconfig"),
		"--cache-dir=" + k.c.path("cache-"+k.version+user)}, args...)...)
}

func (k terminal) run(user, line string) (string, error) {
	out, err := k.command(user, strings.Fields(line)...).CombinedOutput()
	return string(out), err
}

// words of each line, one space apart.
func words(out string) []string {
	var lines []string
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return lines
}

// Streams demo/app, and others/b1 to b3, made in the opposite order of their names.
func (c *cluster) storeOthers() {
	c.t.Helper()
	for i := 1; i <= 3; i++ {
		name := fmt.Sprintf("b%d", i)
		created := metav1.NewTime(time.Date(2020, 1, 10-i, 0, 0, 0, 0, time.UTC))
		c.store(rig.StreamKey("others", name), rig.Encode(c.t, "ImageStream", &imagev1.ImageStream{
			ObjectMeta: metav1.ObjectMeta{Namespace: "others", Name: name, CreationTimestamp: created,
				Labels: map[string]string{"tier": name}},
			Spec: imagev1.ImageStreamSpec{DockerImageRepository: "registry.example/" + name},
		}))
	}
}

func TestOldAndNewKubectl(t *testing.T) {
	c := newCluster(t)
	c.createNamespace("others")
	c.storeApp()
	c.storeOthers()
	for version, path := range kubectls(t) {
		t.Run(version, func(t *testing.T) {
			k := terminal{c, version, path}
			// Available comes before kube-apiserver has merged our schemas, which it does a moment later.
			rig.EventuallyWithin(t, 2*time.Minute, "the schemas are merged", func() error {
				if out, err := k.run("nobody", "explain imagestreams"); err != nil {
					return fmt.Errorf("%v: %s", err, out)
				}
				return nil
			})
			k.contain(t)
			k.print(t)
			k.watch(t)
			if out, err := k.run("nobody", "get --raw "+rig.LayersPath(namespace, "app")); err == nil {
				t.Errorf("nobody may read: %s", out)
			}
			if out, err := k.run("nobody", "get is -A"); err == nil || !strings.Contains(out, "cannot list resource") {
				t.Errorf("nobody may list: %s", out)
			}
		})
	}
}

func (k terminal) contain(t *testing.T) {
	for _, one := range []struct{ user, line, want string }{
		{"puller", "get --raw " + rig.LayersPath(namespace, "app"), rig.Digest(12)},
		{"puller", "api-versions", group + "/v1"},
		{"puller", "api-resources --verbs=list,watch --api-group=" + group, "imagestreams"},
		{"nobody", "explain imagestreams", "Tags, and what each of them has pointed at."},
		{"nobody", "explain is.status.tags.items", "What a tag pointed at from a time on."},
		{"admin", "get imagestream/app -n demo -o jsonpath={.status.tags[0].items[0].image}", rig.Digest(1)},
		{"admin", "get is -A -o yaml", "\n  kind: ImageStream\n"},
		{"admin", "describe is b1 -n others", "Docker Image Repository:"},
		{"admin", "describe images", "Docker Image Manifest Media Type:"},
		{"admin", "get apiservice v1." + group, "strata/strata"},
		{"puller", "auth can-i get imagestreams." + group + " --subresource=layers -n demo", "yes"},
	} {
		if out, err := k.run(one.user, one.line); err != nil || !strings.Contains(out, one.want) {
			t.Errorf("kubectl %s: %v %s", one.line, err, out)
		}
	}
}

// print: what is printed, line by line.
func (k terminal) print(t *testing.T) {
	const prefix = "imagestream.image.openshift.io/"
	for line, want := range map[string][]string{
		"get is -A": {"NAMESPACE NAME IMAGE REPOSITORY TAGS UPDATED", "demo app latest",
			"others b1 registry.example/b1", "others b2 registry.example/b2", "others b3 registry.example/b3"},
		"get imagestreams -n others -o wide": {"NAME IMAGE REPOSITORY TAGS UPDATED", "b1 registry.example/b1",
			"b2 registry.example/b2", "b3 registry.example/b3"},
		"get is app -n demo --no-headers":                               {"app latest"},
		"get images":                                                    {"NAME IMAGE REFERENCE", rig.Digest(1)},
		"get is -A -o name":                                             {prefix + "app", prefix + "b1", prefix + "b2", prefix + "b3"},
		"get is -A -o name --chunk-size=1":                              {prefix + "app", prefix + "b1", prefix + "b2", prefix + "b3"},
		"get is -A -o name -l tier":                                     {prefix + "b1", prefix + "b2", prefix + "b3"},
		"get is -A -o name -l tier!=b2,tier":                            {prefix + "b1", prefix + "b3"},
		"get is -A -o name -l !tier":                                    {prefix + "app"},
		"get is -n others -o name -l tier=b2":                           {prefix + "b2"},
		"get is -A -o name --field-selector=metadata.name=b2":           {prefix + "b2"},
		"get is -A -o name --field-selector=metadata.namespace!=others": {prefix + "app"},
		"get is -A -o name --field-selector=spec.dockerImageRepository=registry.example/b3":   {prefix + "b3"},
		"get is -n others --no-headers -o custom-columns=N:.metadata.name,T:.metadata.labels": {"b1 map[tier:b1]", "b2 map[tier:b2]", "b3 map[tier:b3]"},
		"get is -n others --no-headers --sort-by=.metadata.creationTimestamp": {"b3 registry.example/b3",
			"b2 registry.example/b2", "b1 registry.example/b1"},
		"get is -n others -L tier --no-headers":         {"b1 registry.example/b1 b1", "b2 registry.example/b2 b2", "b3 registry.example/b3 b3"},
		"get is,images -A -o jsonpath={.items[*].kind}": {"ImageStream ImageStream ImageStream ImageStream Image"},
		"get is -n empty": {"No resources found in empty namespace."},
		"get is -n demo -l tier=nope -o jsonpath={.items}": {"[]"},
	} {
		out, err := k.run("admin", line)
		if got := words(out); err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("kubectl %s: %v\n%s\nwant\n%s", line, err, out, strings.Join(want, "\n"))
		}
	}
}

// watch: what is printed while a stream is there, is changed, and goes.
func (k terminal) watch(t *testing.T) {
	t.Helper()
	name := "w-" + strings.ReplaceAll(k.version, ".", "-")
	key := rig.StreamKey("others", name)
	const prefix = "imagestream.image.openshift.io/"
	for line, want := range map[string][]string{
		"get is -n others -w -l !tier":                              {"NAME IMAGE REPOSITORY TAGS UPDATED", name + " latest", name + " latest", name + " latest"},
		"get is -n others " + name + " -w -o name":                  {prefix + name, prefix + name, prefix + name},
		"get is -A -w --watch-only --no-headers":                    {"others " + name + " latest", "others " + name + " latest"},
		"wait --for=delete is/" + name + " -n others --timeout=30s": {prefix + name + " condition met"},
	} {
		k.c.store(key, rig.StreamValue(t, "others", name, rig.Digest(1)))
		way := k.c.record("watch-"+k.version, func() int64 { return 0 })
		command := k.command(way.name, strings.Fields(line)...)
		output, err := command.StdoutPipe()
		k.c.check(err)
		k.c.check(command.Start())
		rig.Eventually(t, "kubectl "+line+" watches", way.watched)
		k.c.store(key, rig.StreamValue(t, "others", name, rig.Digest(1), rig.Digest(1)))
		k.c.remove(key)
		end := time.AfterFunc(rig.Patience, func() { _ = command.Process.Kill() })
		var got []string
		for lines := bufio.NewScanner(output); len(got) < len(want) && lines.Scan(); {
			got = append(got, words(lines.Text())...)
		}
		end.Stop()
		_ = command.Process.Kill()
		_ = command.Wait()
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("kubectl %s:\n%s\nwant\n%s", line, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}
