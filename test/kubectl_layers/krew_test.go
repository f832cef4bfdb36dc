package kubectl_layers

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"strata/test/rig"
)

// The plugin is packed and described as for a release, installed by krew from these files, and run by kubectl.
func TestKrewInstallsIt(t *testing.T) {
	release, root, bin := t.TempDir(), t.TempDir(), t.TempDir()
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		// With cgo, as the tests' other programs: without it all packages would be compiled once more.
		cmd.Env = append(os.Environ(), "KREW_ROOT="+root, "KREW_NO_UPGRADE_CHECK=1", "HOME="+root, "CGO_ENABLED=1",
			"PATH="+root+"/bin:"+bin+":"+os.Getenv("PATH"))
		// Where Go keeps what it has built, fetched and been told depends on the home.
		for _, name := range []string{"GOCACHE", "GOENV", "GOMODCACHE", "GOPATH"} {
			value, err := exec.Command("go", "env", name).Output()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Env = append(cmd.Env, name+"="+strings.TrimSpace(string(value)))
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	platform := runtime.GOOS + "/" + runtime.GOARCH
	run("../../clients/kubectl-layers/release.sh", release, "v0.1.0", "https://plugins.example.com/v0.1.0", platform)
	archive := filepath.Join(release, "kubectl-layers-"+strings.ReplaceAll(platform, "/", "-")+".tar.gz")
	out := run(rig.Peer(t, "krew"), "install", "--manifest="+filepath.Join(release, "layers.yaml"), "--archive="+archive)
	rig.Contains(t, out, "Installed plugin: layers", "kubectl_complete-layers")
	if got := run(rig.Peer(t, "kubectl"), "layers", "--version"); got != "kubectl layers version v0.1.0\n" {
		t.Error(got)
	}
	if err := os.Symlink("kubectl-layers", root+"/bin/kubectl_complete-layers"); err != nil {
		t.Fatal(err)
	}
	rig.Contains(t, run(rig.Peer(t, "kubectl"), "__complete", "layers", "to"), "top\tWho takes most")
}
