// Package rig is what tests against real peers share: processes, backends, records, certificates.
package rig

import (
	"bytes"
	"fmt"
	"io"
	"math/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Patience is how long anything may take.
const Patience = 30 * time.Second

func binary(t *testing.T, env, fallback, name string) string {
	t.Helper()
	dir := os.Getenv(env)
	if dir == "" {
		dir = fallback
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s is needed; build it, or set %s to its folder", path, env)
	}
	return path
}

func Strata(t *testing.T, name string) string {
	return binary(t, "STRATA_BIN", "../../build/bin", name)
}
func Peer(t *testing.T, name string) string { return binary(t, "STRATA_PEERS", "../../build/go", name) }

// Ports of tests lie below those that the kernel gives to connections.
const firstPort, portCount = 12000, 20000

var nextPort atomic.Int32

// FreePort is a port that nobody listens on, and that no other call gives, of this test process or of one beside it,
// while the process lives. Each begins elsewhere.
func FreePort(t *testing.T) int {
	t.Helper()
	nextPort.CompareAndSwap(0, 1+int32(os.Getpid()%1000)*20)
	for range portCount {
		port := firstPort + int(nextPort.Add(1))%portCount
		if !takePort(t, port) {
			continue
		}
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			listener.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// takePort is false where another call has the port: whoever has it holds the lock of a file until the process ends.
func takePort(t *testing.T, port int) bool {
	t.Helper()
	dir := filepath.Join(os.TempDir(), "strata-ports")
	if os.Mkdir(dir, 0o777) == nil {
		_ = os.Chmod(dir, 0o777) // also for other users, whatever the umask is
	}
	fd, err := syscall.Open(filepath.Join(dir, strconv.Itoa(port)), syscall.O_CREAT|syscall.O_RDONLY|syscall.O_CLOEXEC, 0o644)
	if err != nil {
		t.Fatalf("the lock of port %d: %v", port, err)
	}
	if err := syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = syscall.Close(fd)
		return false
	}
	return true
}

// An output is read while the process writes it.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(text)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// A Process of the rig; its output is shown when the test fails.
type Process struct {
	t      *testing.T
	name   string
	args   []string
	cmd    *exec.Cmd
	output output
	done   chan struct{}
	sent   syscall.Signal // the last one

	// Env is added to the environment at the next Launch.
	Env []string
}

func Start(t *testing.T, name string, args ...string) *Process {
	t.Helper()
	p := Prepare(t, name, args...)
	p.Launch()
	return p
}

// Prepare is a process that hasn't been launched. It ends with the test.
func Prepare(t *testing.T, name string, args ...string) *Process {
	t.Helper()
	p := &Process{t: t, name: name, args: args}
	t.Cleanup(func() {
		if p.cmd != nil {
			// Leaks are looked for when a program ends by itself (./dev sanitize).
			if os.Getenv("STRATA_END_PROGRAMS") != "" {
				p.Stop(syscall.SIGTERM)
			}
			p.Stop(syscall.SIGKILL)
			p.endedAsTold()
		}
		if t.Failed() {
			text := p.output.String()
			if len(text) > 4000 {
				text = text[len(text)-4000:]
			}
			t.Logf("%s said:\n%s", filepath.Base(p.name), text)
		}
	})
	return p
}

// endedAsTold fails the test if the process was ended by a signal that the test hasn't sent: a crash, the kernel.
func (p *Process) endedAsTold() {
	status := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() && status.Signal() != p.sent {
		p.t.Errorf("%s ended by itself: %s", filepath.Base(p.name), p.cmd.ProcessState)
	}
}

func (p *Process) Launch() { p.LaunchWith(&p.output) }

// LaunchWith is Launch with standard output and error elsewhere.
func (p *Process) LaunchWith(output io.Writer) {
	p.cmd = exec.Command(p.name, p.args...)
	p.cmd.Stdout, p.cmd.Stderr = output, output
	p.cmd.Env = append(os.Environ(), p.Env...)
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		_ = cmd.Wait()
		close(done)
	}(p.cmd, p.done)
}

// Stop ends the process and returns its exit code. Another may be launched as soon as it has ended.
func (p *Process) Stop(signal syscall.Signal) int {
	cmd, done := p.cmd, p.done
	p.Signal(signal)
	select {
	case <-done:
	case <-time.After(Patience):
		p.Signal(syscall.SIGKILL)
		<-done
	}
	return cmd.ProcessState.ExitCode()
}

// Memory is what the process has resident in bytes, and the most that it had.
func (p *Process) Memory() (now, most int64) {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	return int64(StatusField(string(text), "VmRSS")) << 10, int64(StatusField(string(text), "VmHWM")) << 10
}

// Anonymous is what of its resident bytes are no pages of files, for which its control group may end it; 0 once it has
// ended. From any goroutine.
func (p *Process) Anonymous() int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	return int64(StatusField(string(text), "RssAnon")) << 10
}

// StatusField is a number of /proc/PID/status; 0 if it isn't there.
func StatusField(status, name string) int {
	for _, line := range strings.Split(status, "\n") {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			n, _ := strconv.Atoi(strings.Fields(value)[0])
			return n
		}
	}
	return 0
}

// ForgetMost makes what the process has now the most that it had.
func (p *Process) ForgetMost() {
	p.t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0o200); err != nil {
		p.t.Fatal(err)
	}
}

// Signal is sent and not waited for.
func (p *Process) Signal(signal syscall.Signal) {
	select {
	case <-p.done: // ended before, and not of it
	default:
		p.sent = signal
		_ = p.cmd.Process.Signal(signal)
	}
}

// Pid of the process that was launched last.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Ended is closed once the process is.
func (p *Process) Ended() <-chan struct{} { return p.done }

// Times is how often to do it: so often, unless the environment asks for more.
func Times(variable string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(variable)); err == nil {
		return n
	}
	return otherwise
}

// Random makes the same numbers in each run, unless STRATA_SEED is another number.
func Random() *rand.Rand { return rand.New(rand.NewSource(int64(Times("STRATA_SEED", 1)))) }

// Eventually tries until there is no error; the test fails if that takes longer than Patience.
func Eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	EventuallyWithin(t, Patience, what, try)
}

// EventuallyWithin is Eventually with another patience.
func EventuallyWithin(t *testing.T, within time.Duration, what string, try func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

// Output is what the process has said; complete only once it has ended.
func (p *Process) Output() string { return p.output.String() }
