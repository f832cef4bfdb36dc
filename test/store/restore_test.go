package store

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"strata/test/rig"
)

// A client that watches over a restore: with --bump-revision and --mark-compacted it is told that its revision is gone,
// as by an etcd that etcdutl restored so; without, it would go on in another history and miss what differs.
func TestAStoreThatIsRestoredBeyondSendsItsWatchersToList(t *testing.T) {
	dir, port := t.TempDir(), rig.FreePort(t)
	b := rig.StartBackendIn(t, "strata-storage", filepath.Join(dir, "one"), port)
	c := b.Client(t)
	ctx, cancel := context.WithTimeout(context.Background(), 2*rig.Patience)
	defer cancel()
	for i := range 10 {
		rig.Put(t, c, fmt.Sprint("/k", i), "v")
	}
	cluster := clusterID(t, c)
	file := filepath.Join(dir, "snapshot.db")
	if out, err := exec.Command(rig.Peer(t, "etcdctl"), "--endpoints="+b.URL, "snapshot", "save", file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	saved := revision(t, c)
	for range 5 {
		rig.Put(t, c, "/lost", "v")
	}
	events := c.Watch(ctx, "/", clientv3.WithPrefix(), clientv3.WithRev(revision(t, c)))
	if first := <-events; first.Err() != nil || len(first.Events) != 1 {
		t.Fatalf("%v %v", first.Events, first.Err())
	}
	b.Stop(syscall.SIGTERM)

	beyond := filepath.Join(dir, "beyond")
	rig.Contains(t, tool(t, "restore", file, "--data-dir="+beyond, "--bump-revision=1000000", "--mark-compacted"),
		fmt.Sprint("restored revision ", saved+1_000_000))
	restored := rig.StartBackendIn(t, "strata-storage", beyond, port)
	for {
		select {
		case response, open := <-events:
			if !open {
				t.Fatal("the watch ended without a word")
			}
			if response.CompactRevision == 0 {
				if len(response.Events) != 0 {
					t.Fatalf("it went on with %v", response.Events)
				}
				continue
			}
			if !errors.Is(response.Err(), rpctypes.ErrCompacted) || response.CompactRevision != saved+1_000_000 {
				t.Errorf("%v, compacted up to %d", response.Err(), response.CompactRevision)
			}
		case <-ctx.Done():
			t.Fatal("the watch says nothing")
		}
		break
	}

	c = restored.Client(t)
	if again := clusterID(t, c); again == cluster {
		t.Errorf("the restored store has the old one's cluster id %x", again)
	}
	all, err := c.Get(ctx, "/", clientv3.WithPrefix())
	if err != nil || all.Count != 10 || all.Header.Revision != saved+1_000_000 {
		t.Fatalf("%v %v", all, err)
	}
	if _, err := c.Get(ctx, "/k1", clientv3.WithRev(saved)); !errors.Is(err, rpctypes.ErrCompacted) {
		t.Errorf("the snapshot's revision: %v", err)
	}
	more := c.Watch(ctx, "/", clientv3.WithPrefix(), clientv3.WithRev(all.Header.Revision+1))
	if at := rig.Put(t, c, "/k1", "w"); at != saved+1_000_001 {
		t.Errorf("the next revision is %d", at)
	}
	if next := <-more; len(next.Events) != 1 || string(next.Events[0].Kv.Value) != "w" {
		t.Errorf("%v %v", next.Events, next.Err())
	}
	// It lives on as any other.
	if _, err := c.Compact(ctx, saved+1_000_001, clientv3.WithCompactPhysical()); err != nil {
		t.Error(err)
	}
	if _, err := c.Defragment(ctx, restored.URL); err != nil {
		t.Error(err)
	}
	restored.Stop(syscall.SIGKILL)
	restored.Launch()
	if at := revision(t, restored.Client(t)); at != saved+1_000_001 {
		t.Errorf("after a restart it is at revision %d", at)
	}
}

func clusterID(t *testing.T, c *clientv3.Client) uint64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	r, err := c.Get(ctx, "/")
	if err != nil {
		t.Fatal(err)
	}
	return r.Header.ClusterId
}

// As etcdutl: one without the other is a mistake, and nothing is made.
func TestABumpWithoutItsMarkIsRefused(t *testing.T) {
	for _, flags := range [][]string{{"--bump-revision=1"}, {"--mark-compacted"}, {"--mark-compacted", "--bump-revision=0"}, {"--mark-compacted", "--bump-revision=-1"}} {
		dir := filepath.Join(t.TempDir(), "d")
		command := exec.Command(rig.Strata(t, "strata-storage"), append([]string{"restore", "nothing.db", "--data-dir=" + dir}, flags...)...)
		out, err := command.CombinedOutput()
		if err == nil || command.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), "--bump-revision") {
			t.Errorf("%v: %v: %s", flags, err, out)
		}
	}
}
