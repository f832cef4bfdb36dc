package store

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"strata/test/rig"
)

func tool(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(rig.Strata(t, "strata-storage"), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("strata-storage %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// A directory of what a snapshot of the etcd holds, whose revision begins with a 5.
func importOf(t *testing.T, b *rig.Backend) string {
	t.Helper()
	file, dir := filepath.Join(t.TempDir(), "etcd.db"), filepath.Join(t.TempDir(), "imported")
	out, err := exec.Command(rig.Peer(t, "etcdctl"), "--endpoints="+b.URL, "snapshot", "save", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	rig.Contains(t, tool(t, "restore", file, "--data-dir="+dir), "restored revision 5")
	return dir
}

// An etcd's snapshot becomes a store with all of its history: the same at every revision, the same watches and leases,
// and it goes on from there.
func TestAnEtcdsSnapshotIsImportedWithItsHistory(t *testing.T) {
	for _, name := range rig.Backends(t) {
		if name == "strata-storage" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			b := rig.StartBackend(t, name)
			conn := b.Client(t).ActiveConnection()
			ctx := context.Background()
			for _, one := range append(append(puts(), leases()...), txns()...) {
				ask(ctx, conn, one.request)
			}
			for i := range 500 {
				ask(ctx, conn, put(fmt.Sprintf("/many/%03d", i), strings.Repeat("x", 1000)))
			}
			ask(ctx, conn, &pb.CompactionRequest{Revision: 12, Physical: true})
			imported := rig.StartBackendIn(t, "strata-storage", importOf(t, b), rig.FreePort(t)).Client(t).ActiveConnection()
			compare := func(what string, request any) {
				t.Helper()
				if want, got := ask(ctx, conn, request), ask(ctx, imported, request); got != want {
					t.Errorf("%s: %.500s\n   %s: %.500s", what, got, name, want)
				}
			}
			for revision := int64(10); revision < 60; revision++ {
				r := get("\x00", "\x00")
				r.Revision = revision
				compare(fmt.Sprint("at revision ", revision), r)
			}
			compare("now", get("\x00", "\x00"))
			compare("leases", &pb.LeaseTimeToLiveRequest{ID: 7, Keys: true})
			past := watch("\x00", "\x00", from(12), withPrev)
			steadily(t, func(patience time.Duration) string {
				want, got := watchStory(t, conn, []any{past}, patience), watchStory(t, imported, []any{past}, patience)
				if got == want {
					return ""
				}
				return fmt.Sprintf("watched: %.1000s\n   %s: %.1000s", got, name, want)
			})
			compare("and on", put("after", "1"))
		})
	}
}

// What was written last were deletions, and a compaction took them: the revisions that they had don't come again, and
// whoever lists, and watches from there, hears of what follows.
func TestAnEtcdsSnapshotWhoseEndWasCompactedGoesOnBehindIt(t *testing.T) {
	for _, name := range rig.Backends(t) {
		if name == "strata-storage" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			b := rig.StartBackend(t, name)
			conn, ctx := b.Client(t).ActiveConnection(), context.Background()
			for _, key := range []string{"a", "b"} {
				ask(ctx, conn, put(key, "1"))
			}
			for _, key := range []string{"a", "b"} {
				ask(ctx, conn, &pb.DeleteRangeRequest{Key: []byte(key)})
			}
			ask(ctx, conn, &pb.CompactionRequest{Revision: 5, Physical: true})
			imported := rig.StartBackendIn(t, "strata-storage", importOf(t, b), rig.FreePort(t)).Client(t)
			list, err := imported.Get(ctx, "\x00", clientv3.WithFromKey())
			if err != nil || list.Header.Revision != 5 || len(list.Kvs) != 0 {
				t.Fatalf("listed: %v %v", list, err)
			}
			if _, err := imported.Get(ctx, "a", clientv3.WithRev(list.Header.Revision)); err != nil {
				t.Errorf("at the revision of the list: %v", err)
			}
			within, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			events := imported.Watch(within, "c", clientv3.WithRev(list.Header.Revision+1))
			if put, err := imported.Put(ctx, "c", "1"); err != nil || put.Header.Revision != 6 {
				t.Errorf("put: %v %v", put, err)
			}
			if said := <-events; said.Err() != nil || len(said.Events) != 1 || said.Events[0].Kv.ModRevision != 6 {
				t.Errorf("watched: %v, %v", said, said.Err())
			}
		})
	}
}

// Keys and values of any kind, from ours into an etcd.
func TestAStoreIsBroughtIntoAnEtcd(t *testing.T) {
	ours, etcd := rig.StartBackend(t, "strata-storage"), rig.StartBackend(t, "etcd-3.6")
	conn := ours.Client(t).ActiveConnection()
	for _, one := range puts() {
		ask(context.Background(), conn, one.request)
	}
	file := filepath.Join(t.TempDir(), "dump.jsonl.gz")
	tool(t, "dump", "--raw", "--gzip", "--file="+file, "--etcd-servers="+ours.URL)
	rig.Contains(t, tool(t, "load", "--raw", file, "--etcd-servers="+etcd.URL), "written, 0 unchanged, 0 bad")
	read := func(b *rig.Backend) string {
		all, err := b.Client(t).Get(context.Background(), "\x00", clientv3.WithFromKey())
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for _, kv := range all.Kvs {
			fmt.Fprintf(&text, "%q=%q\n", kv.Key, kv.Value)
		}
		return text.String()
	}
	if want, got := read(ours), read(etcd); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
