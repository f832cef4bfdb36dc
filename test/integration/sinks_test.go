package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"strata/test/rig"
)

const auditAll = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n"

// Command lines of both programs, and where they listen.
type program struct {
	name string
	args []string
	port int
}

func programs(t *testing.T) []program {
	id := newIdentity(t)
	id.write(t, "policy.yaml", []byte(auditAll))
	port, storePort := rig.FreePort(t), rig.FreePort(t)
	return []program{
		{"strata-apiserver", []string{"--data-dir=" + filepath.Join(t.TempDir(), "data"), "--bind-address=127.0.0.1",
			fmt.Sprintf("--secure-port=%d", port), "--tls-cert-file=" + id.path("serving.crt"),
			"--tls-private-key-file=" + id.path("serving.key"), "--audit-policy-file=" + id.path("policy.yaml"),
			"--audit-log-path=-", "-v=3"}, port},
		{"strata-storage", []string{"serve", "--data-dir=" + filepath.Join(t.TempDir(), "data"),
			fmt.Sprintf("--listen-client-urls=http://127.0.0.1:%d", storePort)}, storePort},
	}
}

func (p program) awaitListening(t *testing.T) {
	t.Helper()
	rig.Eventually(t, p.name+" listens", func() error {
		connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", p.port))
		if err == nil {
			connection.Close()
		}
		return err
	})
}

// awaitEnd is the exit code; the test fails if there is none in time.
func awaitEnd(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(rig.Patience):
		_ = cmd.Process.Kill()
		<-ended
		t.Error("it doesn't end")
	}
	return cmd.ProcessState.ExitCode()
}

// Logs and the audit log go where nobody reads.
func TestTheEndWaitsForNoLog(t *testing.T) {
	for _, p := range programs(t) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(rig.Strata(t, p.name), p.args...)
			cmd.Stderr = rig.FullPipe(t)
			cmd.Stdout = cmd.Stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			p.awaitListening(t)
			_ = cmd.Process.Signal(syscall.SIGTERM)
			if code := awaitEnd(t, cmd); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// An error at the start that nobody reads is one all the same.
func TestAnErrorThatNobodyReadsEndsTheStart(t *testing.T) {
	for _, p := range programs(t) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p.port))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { listener.Close() })
			cmd := exec.Command(rig.Strata(t, p.name), p.args...)
			cmd.Stderr = rig.FullPipe(t)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if code := awaitEnd(t, cmd); code != 1 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

// A file that takes the number of a standard one would get the log.
func TestWithoutStandardErrorNoFileGetsTheLog(t *testing.T) {
	for _, p := range programs(t) {
		t.Run(p.name, func(t *testing.T) {
			cmd := exec.Command("sh", append([]string{"-c", `exec "$0" "$@" 2>&-`, rig.Strata(t, p.name)}, p.args...)...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			p.awaitListening(t)
			_ = cmd.Process.Signal(syscall.SIGTERM)
			if code := awaitEnd(t, cmd); code != 0 {
				t.Errorf("exit code %d", code)
			}
			data := ""
			for _, arg := range p.args {
				if dir, found := strings.CutPrefix(arg, "--data-dir="); found {
					data = dir
				}
			}
			files, err := os.ReadDir(data)
			if err != nil || len(files) == 0 {
				t.Fatal(files, err)
			}
			for _, file := range files {
				if text, _ := os.ReadFile(filepath.Join(data, file.Name())); strings.Contains(string(text), "] \"S") {
					t.Errorf("%s holds the log: %.200q", file.Name(), text)
				}
			}
		})
	}
}
