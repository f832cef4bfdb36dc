package kubectl_layers

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/creack/pty"

	"strata/test/rig"
)

// What a command printed, and how it ended.
type outcome struct {
	stdout, stderr string
	code           int
}

func command(t *testing.T, kubeconfig string, args ...string) *exec.Cmd {
	cmd := exec.Command(rig.Peer(t, "kubectl-layers"), args...)
	// Colours are the terminal's to have, whatever this one says.
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "NO_COLOR=") })
	cmd.Env = append(env, "TERM=xterm", "KUBECONFIG="+kubeconfig, "HOME="+t.TempDir())
	return cmd
}

func inPipe(t *testing.T, kubeconfig string, args ...string) outcome {
	t.Helper()
	cmd := command(t, kubeconfig, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	code := codeOf(t, cmd.Run())
	return outcome{stdout.String(), stderr.String(), code}
}

func inTerminal(t *testing.T, kubeconfig string, args ...string) outcome {
	t.Helper()
	cmd := command(t, kubeconfig, args...)
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 120})
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	// At the program's end reading a pseudo-terminal fails (EIO).
	text, _ := io.ReadAll(terminal)
	code := codeOf(t, cmd.Wait())
	shown := progress.ReplaceAllString(strings.ReplaceAll(string(text), "\r\n", "\n"), "")
	return outcome{shown, "", code}
}

// progress of many requests, which a slow machine shows.
var progress = regexp.MustCompile("\r\x1b\\[K[^\r\x1b\n]*")

func codeOf(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0
}
