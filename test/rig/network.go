package rig

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const ownNetwork = "STRATA_OWN_NETWORK"

// InOwnNetwork tells whether the test runs in a network of its own, with an /etc/hosts of its own; if not, it is run
// again so, and its outcome is that one's.
func InOwnNetwork(t *testing.T) bool {
	t.Helper()
	if os.Getenv(ownNetwork) != "" {
		return true
	}
	hosts := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(hosts, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The shell is there to wait for what loses its parent, as an init does.
	command := exec.Command("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c",
		`ip link set lo up && mount --bind "$1" /etc/hosts && "${@:2}"; exit`, "_", hosts,
		program, "-test.run=^"+t.Name()+"$", "-test.v")
	command.Env = append(os.Environ(), ownNetwork+"="+hosts)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return false
}

// Hosts is the file that stands for DNS in a network of the test's own.
func Hosts() string { return os.Getenv(ownNetwork) }
