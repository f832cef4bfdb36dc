package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strata/test/rig"
)

// A plugged kubectl finds clients/kubectl-layers by the names that kubectl looks for.
type plugged struct {
	terminal
	bin string
}

func (c *cluster) plug(version, path string) plugged {
	c.t.Helper()
	k := plugged{terminal{c, version, path}, c.t.TempDir()}
	for _, name := range []string{"kubectl-layers", "kubectl_complete-layers"} {
		c.check(os.Symlink(rig.Peer(c.t, "kubectl-layers"), k.bin+"/"+name))
	}
	return k
}

// command by which an own kubeconfig goes to the plugin too: kubectl takes no flag before a plugin's name.
func (k plugged) command(user string, args ...string) *exec.Cmd {
	command := exec.Command(k.path, args...)
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "NO_COLOR=") })
	command.Env = append(env, "PATH="+k.bin+":"+os.Getenv("PATH"), "KUBECONFIG="+k.c.path(user+".kubeconfig"), "TERM=xterm")
	return command
}

// codeOf is a process's exit code.
func (k plugged) codeOf(err error) int {
	if exit, ended := err.(*exec.ExitError); ended {
		return exit.ExitCode()
	}
	k.c.check(err)
	return 0
}

func (k plugged) inTerminal(user, line string) (string, int) {
	command := k.command(user, strings.Fields(line)...)
	screen, err := pty.Start(command)
	k.c.check(err)
	defer screen.Close()
	text, _ := io.ReadAll(screen) // Its end is an error (EIO).
	return string(text), k.codeOf(command.Wait())
}

// demo/app, shop/web that is built on it, and a pod of that.
func (c *cluster) storeBuilt() {
	c.t.Helper()
	c.storeApp()
	c.store(rig.ImageKey(rig.Digest(2)), rig.ImageValue(c.t, rig.Digest(2), rig.Digest(11), rig.Digest(12), rig.Digest(13)))
	c.store(rig.StreamKey("shop", "web"), rig.StreamValue(c.t, "shop", "web", rig.Digest(2)))
	c.createNamespace("shop")
	ctx, pods := context.Background(), c.client.CoreV1().Pods("shop")
	image := "registry:5000/shop/web@" + rig.Digest(2)
	pod, err := pods.Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-0"},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: image}}}}, metav1.CreateOptions{})
	c.check(err)
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "web", ImageID: image}}
	_, err = pods.UpdateStatus(ctx, pod, metav1.UpdateOptions{})
	c.check(err)
}

func TestKubectlLayersInACluster(t *testing.T) {
	c := newCluster(t)
	c.awaitLayersGroup()
	c.storeBuilt()
	all := []plugged{c.plug("1.28", rig.Peer(t, "kubectl-1.28")), c.plug("newest", rig.Peer(t, "kubectl-newest"))}
	short := func(n int) string { return rig.Digest(n)[:19] }
	each := func(what string, cases ...pluginCase) {
		for _, k := range all {
			t.Run(what+"/"+k.version, func(t *testing.T) {
				for _, one := range cases {
					k.expect(t, one)
				}
			})
		}
	}
	each("everything is there",
		pluginCase{line: "layers -n shop web", out: []string{"web " + short(2) + " 3 layers 30B own 10B",
			"# LAYER SIZE IMAGES ALSO IN", "1 " + short(11) + " 10B 2 demo/app", "2 " + short(12) + " 10B 2 demo/app",
			"3 " + short(13) + " 10B 1", "BASE " + short(1) + " demo/app:latest 2 layers"}},
		pluginCase{line: "layers tree shop/web", out: []string{"NAME IMAGE LAYERS SIZE OWN SHARED WITH", "web",
			"latest " + short(2) + " 3 30B 30B"}},
		pluginCase{line: "layers diff demo/app shop/web", code: 1, out: []string{"LAYER SIZE", short(11) + " 10B", short(12) + " 10B",
			"+ " + short(13) + " 10B", "to pull: 10B of 30B"}},
		pluginCase{line: "layers who " + rig.Digest(11), out: []string{"NAMESPACE STREAM TAGS IMAGES AS",
			"demo app latest 1 Layer", "shop web latest 1 Layer"}},
		pluginCase{line: "layers top -A --by=namespace", out: []string{"NAMESPACE STREAMS IMAGES LAYERS SIZE UNIQUE SHARED MISSING",
			"shop 1 1 3 30B 10B 20B 0", "demo 1 1 2 20B 0B 20B 0"}},
		pluginCase{line: "layers top -A --no-headers", out: []string{"shop web 1 3 30B 10B 20B 0", "demo app 1 2 20B 0B 20B 0"}},
		pluginCase{line: "layers pods -n shop --base=demo/app:latest", out: []string{"NAMESPACE POD CONTAINER IMAGE BASE BEHIND",
			"shop web-0 web shop/web@" + short(2) + " " + short(1) + " current"}},
		pluginCase{line: "layers compare -A --with-context=x", out: []string{
			"2 streams compared: 2 equal, 0 different on purpose, 0 different"}},
		pluginCase{line: "__complete layers tree shop/", out: []string{"shop/web", ":6"}},
		pluginCase{line: "__complete layers tree -n demo app:", out: []string{"app:latest", ":4"}},
		pluginCase{line: "layers -n shop nope", code: 1,
			said: `Error from server (NotFound): imagestreams.image.openshift.io "nope" not found`},
		pluginCase{user: "nobody", line: "layers -n shop web", code: 1,
			said: `Error from server (Forbidden): imagestreams.image.openshift.io "web" is forbidden`},
		pluginCase{user: "nobody", line: "layers who " + rig.Digest(11), code: 1,
			said: `blobs.layers.strata.dev "` + rig.Digest(11) + `" not found`},
		pluginCase{user: "puller", line: "layers -n demo app@" + rig.Digest(1), out: []string{
			"app@" + short(1) + " " + short(1) + " 2 layers 20B own 20B", "# LAYER SIZE IMAGES ALSO IN", "1 " + short(11) + " 10B 1",
			"2 " + short(12) + " 10B 1"}},
	)
	if text, code := all[1].inTerminal("admin", "layers tree shop/web"); code != 0 || !strings.Contains(text, "└─ latest") ||
		!strings.Contains(text, "\x1b[2mNAME") {
		t.Errorf("%d %q", code, text)
	}

	c.kubectl("admin", "delete", "apiservice", "v1alpha1."+layersGroup)
	rig.Eventually(t, "the group is gone", func() error {
		if _, err := c.client.Discovery().ServerResourcesForGroupVersion(layersGroup + "/v1alpha1"); err == nil {
			return fmt.Errorf("it is there")
		}
		return nil
	})
	each("without the group",
		pluginCase{line: "layers who " + rig.Digest(11) + " -A", out: []string{"NAMESPACE STREAM TAGS IMAGES AS",
			"demo app latest 1 Layer", "shop web latest 1 Layer"},
			said: "note: layers.strata.dev isn't served here; looked for in the streams of all namespaces"},
		pluginCase{line: "layers pods -n shop --no-headers --base=demo/app", out: []string{
			"shop web-0 web shop/web@" + short(2) + " " + short(1) + " current"}})

	c.strata.Stop(syscall.SIGKILL)
	each("without Strata", pluginCase{line: "layers -n shop web", code: 1, said: "Error from server (ServiceUnavailable)"})
	c.kube.Stop(syscall.SIGKILL)
	each("without kube-apiserver", pluginCase{line: "layers -n shop web", code: 1,
		said: fmt.Sprintf("The connection to the server 127.0.0.1:%d was refused - did you specify the right host or port?", c.kubePort)})
}

type pluginCase struct {
	user, line string // admin unless told
	code       int
	out        []string // lines, their words one space apart
	said       string   // is in what stderr has
}

func (k plugged) expect(t *testing.T, one pluginCase) {
	t.Helper()
	if one.user == "" {
		one.user = "admin"
	}
	var out, said bytes.Buffer
	command := k.command(one.user, strings.Fields(one.line)...)
	command.Stdout, command.Stderr = &out, &said
	code := k.codeOf(command.Run())
	var got []string
	if out.Len() != 0 {
		got = words(out.String())
	}
	if code != one.code || strings.Join(got, "\n") != strings.Join(one.out, "\n") || !strings.Contains(said.String(), one.said) {
		t.Errorf("%s: kubectl %s: exit code %d\n%s\n%s", one.user, one.line, code, out.String(), said.String())
	}
}
