package store

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"strata/test/rig"
)

// socketPath is in a folder that every user may enter, and short enough for a socket.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "strata-socket-")
	if err != nil || os.Chmod(dir, 0o755) != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "storage.sock")
}

func TestEtcdsClientsWorkOverASocket(t *testing.T) {
	path := socketPath(t)
	b := rig.StartStore(t, filepath.Join(t.TempDir(), "data"), "unix://"+path)
	for _, one := range []struct{ args, want string }{
		{"put a 1", "OK"},
		{"get a", "a\n1"},
		{"endpoint health", "unix://" + path + " is healthy"},
		{"endpoint status --cluster", "unix://" + path},
		{"member list", "unix://" + path},
		{"lock b echo held", "held"},
		{"snapshot save " + filepath.Join(t.TempDir(), "strata.db"), "Snapshot saved"},
		{"defrag", "Finished defragmenting"},
	} {
		rig.Contains(t, etcdctl(t, b, "", strings.Fields(one.args)...), one.want)
	}
	c := b.Client(t)
	ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
	defer cancel()
	events := c.Watch(ctx, "c")
	if _, err := c.Put(ctx, "c", "1"); err != nil {
		t.Fatal(err)
	}
	if said := <-events; said.Err() != nil || len(said.Events) != 1 || string(said.Events[0].Kv.Value) != "1" {
		t.Errorf("watched: %v, %v", said, said.Err())
	}
	rig.Contains(t, tool(t, "dump", "--raw", "--etcd-servers="+b.URL), `"key":"YQ=="`)
	over := &http.Client{Timeout: rig.Patience, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}}}
	response, err := over.Get("http://localhost/health")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	rig.Contains(t, string(text), `"health":"true"`)
}

// connectAs connects as another user of the machine, who is in one group.
func connectAs(path string, user, group int) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and for good: the identity is its thread's, which ends with it
		for _, call := range [][2]uintptr{
			{syscall.SYS_SETGROUPS},
			{syscall.SYS_SETGID, uintptr(group)},
			{syscall.SYS_SETUID, uintptr(user)},
		} {
			if _, _, errno := syscall.RawSyscall(call[0], call[1], 0, 0); errno != 0 {
				result <- errno
				return
			}
		}
		fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err == nil {
			err = syscall.Connect(fd, &syscall.SockaddrUnix{Name: path})
			_ = syscall.Close(fd)
		}
		result <- err
	}()
	return <-result
}

func TestASocketIsClosedToOtherUsersAndOpenToItsGroup(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("to be another user it has to be root")
	}
	path := socketPath(t)
	rig.StartStore(t, filepath.Join(t.TempDir(), "data"), "unix://"+path)
	const nobody = 65534
	if err := connectAs(path, nobody, nobody); !errors.Is(err, syscall.EACCES) {
		t.Errorf("a stranger: %v", err)
	}
	if err := connectAs(path, nobody, os.Getegid()); err != nil {
		t.Errorf("a member of the group: %v", err)
	}
}

func TestAKilledStoresSocketIsTakenOverAndALivingOnesIsnt(t *testing.T) {
	path := socketPath(t)
	b := rig.StartStore(t, filepath.Join(t.TempDir(), "data"), "unix://"+path)
	ctx := context.Background()
	if _, err := b.Client(t).Put(ctx, "a", "1"); err != nil {
		t.Fatal(err)
	}
	b.Stop(syscall.SIGKILL)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("nothing is left to be taken over: %v", err)
	}
	b.Launch()
	c := b.Client(t)
	if got, err := c.Get(ctx, "a"); err != nil || got.Count != 1 {
		t.Errorf("%v %v", got, err)
	}
	within, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	second := exec.CommandContext(within, rig.Strata(t, "strata-storage"), "serve", "--data-dir="+filepath.Join(t.TempDir(), "data"), "--listen-client-urls="+b.URL)
	out, _ := second.CombinedOutput()
	want := "strata-storage: --listen-client-urls: " + b.URL + ": another process listens there\n"
	if second.ProcessState.ExitCode() != 1 || string(out) != want {
		t.Errorf("%s, said: %s", second.ProcessState, out)
	}
	if _, err := c.Get(ctx, "a", clientv3.WithSerializable()); err != nil {
		t.Errorf("the first, afterwards: %v", err)
	}
	if code := b.Stop(syscall.SIGTERM); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its socket is left: %v", err)
	}
}
