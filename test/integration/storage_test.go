package integration

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"strata/test/rig"
)

func putAll(t *testing.T, c *clientv3.Client, keysAndValues ...string) int64 {
	t.Helper()
	var ops []clientv3.Op
	for i := 0; i < len(keysAndValues); i += 2 {
		ops = append(ops, clientv3.OpPut(keysAndValues[i], keysAndValues[i+1]))
	}
	ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
	defer cancel()
	response, err := c.Txn(ctx).Then(ops...).Commit()
	if err != nil {
		t.Fatal(err)
	}
	return response.Header.Revision
}

// One table of calls, each answered the same by etcd and by our store, errors included.
func TestTheStoreAnswersAsEtcdDoes(t *testing.T) {
	type call func(ctx context.Context, c *clientv3.Client) (any, error)
	get := func(key string, options ...clientv3.OpOption) call {
		return func(ctx context.Context, c *clientv3.Client) (any, error) {
			r, err := c.Get(ctx, key, options...)
			if err != nil {
				return nil, err
			}
			out := fmt.Sprintf("count=%d more=%v", r.Count, r.More)
			for _, kv := range r.Kvs {
				out += fmt.Sprintf(" %s=%s@%d/%d/%d", kv.Key, kv.Value, kv.CreateRevision, kv.ModRevision, kv.Version)
			}
			return out, nil
		}
	}
	txn := func(compares []clientv3.Cmp, then, otherwise []clientv3.Op) call {
		return func(ctx context.Context, c *clientv3.Client) (any, error) {
			r, err := c.Txn(ctx).If(compares...).Then(then...).Else(otherwise...).Commit()
			if err != nil {
				return nil, err
			}
			return fmt.Sprintf("%v %d responses", r.Succeeded, len(r.Responses)), nil
		}
	}
	calls := []struct {
		name string
		do   call
	}{
		{"put", func(ctx context.Context, c *clientv3.Client) (any, error) { return c.Put(ctx, "a", "1") }},
		{"put again", func(ctx context.Context, c *clientv3.Client) (any, error) {
			r, err := c.Put(ctx, "a", "2", clientv3.WithPrevKV())
			if err != nil {
				return nil, err
			}
			return string(r.PrevKv.Value), nil
		}},
		{"put b", func(ctx context.Context, c *clientv3.Client) (any, error) { return c.Put(ctx, "b", "1") }},
		{"put c", func(ctx context.Context, c *clientv3.Client) (any, error) { return c.Put(ctx, "c", "0") }},
		{"get", get("a")},
		{"get nothing", get("nothing")},
		{"prefix", get("", clientv3.WithPrefix())},
		{"limit", get("a", clientv3.WithRange("z"), clientv3.WithLimit(2))},
		{"count", get("a", clientv3.WithRange("z"), clientv3.WithCountOnly())},
		{"keys", get("a", clientv3.WithRange("z"), clientv3.WithKeysOnly())},
		{"by value, descending", get("a", clientv3.WithRange("z"), clientv3.WithSort(clientv3.SortByValue, clientv3.SortDescend))},
		{"by mod revision", get("a", clientv3.WithRange("z"), clientv3.WithSort(clientv3.SortByModRevision, clientv3.SortAscend), clientv3.WithLimit(1))},
		{"from key", get("b", clientv3.WithFromKey())},
		{"min mod revision", get("a", clientv3.WithRange("z"), clientv3.WithMinModRev(4))},
		{"history", get("a", clientv3.WithRev(2))},
		{"future", get("a", clientv3.WithRev(999))},
		{"empty key", get("")},
		{"txn succeeds", txn([]clientv3.Cmp{clientv3.Compare(clientv3.Version("a"), "=", 2)},
			[]clientv3.Op{clientv3.OpPut("t", "1"), clientv3.OpGet("t")}, nil)},
		{"txn fails", txn([]clientv3.Cmp{clientv3.Compare(clientv3.ModRevision("a"), "=", 99)},
			[]clientv3.Op{clientv3.OpPut("t", "2")}, []clientv3.Op{clientv3.OpGet("t")})},
		{"txn on a value", txn([]clientv3.Cmp{clientv3.Compare(clientv3.Value("t"), ">", "0")}, nil, nil)},
		{"txn with a key twice", txn(nil, []clientv3.Op{clientv3.OpPut("t", "1"), clientv3.OpPut("t", "2")}, nil)},
		{"txn too large", func(ctx context.Context, c *clientv3.Client) (any, error) {
			var ops []clientv3.Op
			for i := 0; i < 129; i++ {
				ops = append(ops, clientv3.OpPut(fmt.Sprint("k", i), ""))
			}
			return c.Txn(ctx).Then(ops...).Commit()
		}},
		{"delete", func(ctx context.Context, c *clientv3.Client) (any, error) {
			r, err := c.Delete(ctx, "b", clientv3.WithPrevKV())
			if err != nil {
				return nil, err
			}
			return fmt.Sprint(r.Deleted, " ", string(r.PrevKvs[0].Value)), nil
		}},
		{"delete nothing", func(ctx context.Context, c *clientv3.Client) (any, error) {
			r, err := c.Delete(ctx, "b")
			if err != nil {
				return nil, err
			}
			return r.Deleted, nil
		}},
		{"after", get("", clientv3.WithPrefix())},
		{"compact", func(ctx context.Context, c *clientv3.Client) (any, error) { return c.Compact(ctx, 4) }},
		{"compact again", func(ctx context.Context, c *clientv3.Client) (any, error) { return c.Compact(ctx, 3) }},
		{"compact the future", func(ctx context.Context, c *clientv3.Client) (any, error) { return c.Compact(ctx, 999) }},
		{"compacted", get("a", clientv3.WithRev(2))},
		{"too large", func(ctx context.Context, c *clientv3.Client) (any, error) {
			return c.Put(ctx, "large", strings.Repeat("x", 1600*1024))
		}},
	}
	results := map[string][]string{}
	for _, name := range rig.Backends(t) {
		c := rig.StartBackend(t, name).Client(t)
		for _, one := range calls {
			ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
			result, err := one.do(ctx, c)
			cancel()
			text := fmt.Sprintf("%s: %v", one.name, err)
			if s, ok := result.(string); ok && err == nil {
				text = one.name + ": " + s
			}
			results[name] = append(results[name], text)
		}
	}
	for _, name := range rig.Backends(t) {
		for i, want := range results["etcd-3.6"] {
			if got := results[name][i]; got != want {
				t.Errorf("%s: %s\n   etcd 3.6: %s", name, got, want)
			}
		}
	}
}

func TestWatchesDeliverEveryRevisionOnceAndInOrder(t *testing.T) {
	rig.ForEachBackend(t, func(t *testing.T, name string) {
		c := rig.StartBackend(t, name).Client(t)
		const writes = 300
		first := rig.Put(t, c, "w/0", "0")
		ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
		defer cancel()
		watch := c.Watch(ctx, "w/", clientv3.WithPrefix(), clientv3.WithRev(first), clientv3.WithPrevKV())
		go func() {
			for i := 1; i < writes; i++ {
				putAll(t, c, fmt.Sprintf("w/%d", i%10), fmt.Sprint(i), fmt.Sprintf("w/x%d", i), "")
			}
		}()
		last, seen := int64(0), 0
		previous := map[string]string{}
		for response := range watch {
			if err := response.Err(); err != nil {
				t.Fatal(err)
			}
			for _, event := range response.Events {
				if event.Kv.ModRevision < last {
					t.Fatalf("revision %d after %d", event.Kv.ModRevision, last)
				}
				last = event.Kv.ModRevision
				key := string(event.Kv.Key)
				if event.PrevKv != nil && string(event.PrevKv.Value) != previous[key] {
					t.Fatalf("previous value of %s: %s, want %s", key, event.PrevKv.Value, previous[key])
				}
				previous[key] = string(event.Kv.Value)
				seen++
			}
			if seen == 2*writes-1 {
				return
			}
		}
		t.Fatalf("%d events of %d", seen, 2*writes-1)
	})
}

func TestACompactedWatchSaysSo(t *testing.T) {
	rig.ForEachBackend(t, func(t *testing.T, name string) {
		c := rig.StartBackend(t, name).Client(t)
		for i := 0; i < 5; i++ {
			rig.Put(t, c, "k", fmt.Sprint(i))
		}
		ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
		defer cancel()
		if _, err := c.Compact(ctx, 4); err != nil {
			t.Fatal(err)
		}
		response := <-c.Watch(ctx, "k", clientv3.WithRev(2))
		if response.CompactRevision != 4 || response.Err() == nil {
			t.Errorf("compact revision %d, error %v", response.CompactRevision, response.Err())
		}
	})
}

func TestEtcdctlWorksOnTheStore(t *testing.T) {
	b := rig.StartBackend(t, "strata-storage")
	run := func(args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		out, err := exec.CommandContext(ctx, rig.Peer(t, "etcdctl"), append([]string{"--endpoints=" + b.URL}, args...)...).CombinedOutput()
		if err != nil {
			t.Errorf("etcdctl %s: %v: %s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	rig.Contains(t, run("put", "a", "1"), "OK")
	rig.Contains(t, run("get", "a"), "a\n1")
	rig.Contains(t, run("del", "a"), "1")
	rig.Contains(t, run("endpoint", "health"), "is healthy")
	rig.Contains(t, run("endpoint", "status"), b.URL)
	rig.Contains(t, run("member", "list"), "started")
	rig.Contains(t, run("compaction", "2"), "compacted revision 2")
	rig.Contains(t, run("lease", "grant", "60"), "granted with TTL(60s)")
}

// A backup of a store that is being written to: what was acknowledged before it began is in it, in one piece.
func TestASnapshotTakenWhileWritingIsRestored(t *testing.T) {
	b := rig.StartBackend(t, "strata-storage")
	c := b.Client(t)
	value := strings.Repeat("x", 10_000)
	var acknowledged atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := int64(1); ctx.Err() == nil; i++ {
			if _, err := c.Put(ctx, fmt.Sprintf("/n/%08d", i), value); err == nil {
				acknowledged.Store(i)
			}
		}
	}()
	rig.Eventually(t, "there are some", func() error {
		if n := acknowledged.Load(); n < 200 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	before := acknowledged.Load()
	file := t.TempDir() + "/snapshot.db"
	out, err := exec.Command(rig.Peer(t, "etcdctl"), "--endpoints="+b.URL, "snapshot", "save", file).CombinedOutput()
	cancel()
	<-done
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}

	dir := t.TempDir() + "/restored"
	out, err = exec.Command(rig.Strata(t, "strata-storage"), "restore", file, "--data-dir="+dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	restored := rig.StartBackendIn(t, "strata-storage", dir, rig.FreePort(t))
	got, err := restored.Client(t).Get(context.Background(), "/n/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(got.Kvs)) < before {
		t.Errorf("%d of at least %d keys", len(got.Kvs), before)
	}
	for i, kv := range got.Kvs {
		if string(kv.Key) != fmt.Sprintf("/n/%08d", i+1) {
			t.Fatalf("a hole before %s", kv.Key)
		}
	}
	if int64(len(got.Kvs))+1 != got.Header.Revision {
		t.Errorf("%d keys at revision %d", len(got.Kvs), got.Header.Revision)
	}
	if out, err := exec.Command(rig.Strata(t, "strata-storage"), "restore", file, "--data-dir="+dir).CombinedOutput(); err == nil {
		t.Errorf("a store was overwritten: %s", out)
	}
}
