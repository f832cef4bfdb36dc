package store

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"strata/test/rig"
)

// each does something so many times, 64 at once.
func each(count int, do func(i int) error) error {
	var group sync.WaitGroup
	work, failed := make(chan int), make(chan error, 64)
	for range 64 {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := range work {
				if err := do(i); err != nil {
					select {
					case failed <- fmt.Errorf("%d: %w", i, err):
					default:
					}
				}
			}
		}()
	}
	for i := range count {
		work <- i
	}
	close(work)
	group.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// Ten thousand leases, each with a key: what is revoked goes at once, what isn't at its time, which begins anew when the
// store does; each key once, and meanwhile others are served.
func TestTenThousandLeasesEnd(t *testing.T) {
	const all, revoked, ttl = 10_000, 5_000, 10
	b := rig.StartBackend(t, "strata-storage")
	c := b.Client(t)
	ctx, cancel := context.WithTimeout(context.Background(), 4*rig.Patience)
	defer cancel()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ids := make([]clientv3.LeaseID, all)
	grant := func(first, end int, seconds int64) {
		t.Helper()
		check(each(end-first, func(i int) error {
			lease, err := c.Grant(ctx, seconds)
			if err != nil {
				return err
			}
			ids[first+i] = lease.ID
			_, err = c.Put(ctx, fmt.Sprintf("/leased/%05d", first+i), "", clientv3.WithLease(lease.ID))
			return err
		}))
	}
	grant(0, revoked, 600)
	check(each(revoked, func(i int) error {
		_, err := c.Revoke(ctx, ids[i])
		return err
	}))
	left, err := c.Get(ctx, "/leased/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	check(err)
	if left.Count != 0 {
		t.Errorf("%d keys of revoked leases are still there", left.Count)
	}

	grant(revoked, all, ttl)
	b.Stop(syscall.SIGKILL)
	restarted := time.Now()
	b.Launch()
	c = b.Client(t)
	gone := map[string]bool{}
	for response := range c.Watch(ctx, "/leased/", clientv3.WithPrefix(), clientv3.WithFilterPut(), clientv3.WithRev(2)) {
		check(response.Err())
		for _, event := range response.Events {
			if gone[string(event.Kv.Key)] {
				t.Errorf("%s has gone twice", event.Kv.Key)
			}
			gone[string(event.Kv.Key)] = true
		}
		asked := time.Now()
		_, err := c.Put(ctx, "/other", "")
		check(err)
		if took := time.Since(asked); took > 10*time.Second {
			t.Errorf("a write took %v while leases end", took)
		}
		if len(gone) == all {
			break
		}
	}
	if took := time.Since(restarted); took < ttl*time.Second || len(gone) != all {
		t.Errorf("%d had gone %v after the restart", len(gone), took)
	}
	rig.Eventually(t, "no lease is left", func() error {
		list, err := c.Leases(ctx)
		if err == nil && len(list.Leases) > 0 {
			err = fmt.Errorf("%d leases", len(list.Leases))
		}
		return err
	})
}
