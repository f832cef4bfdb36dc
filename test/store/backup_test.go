package store

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	clientv3 "go.etcd.io/etcd/client/v3"

	"strata/test/rig"
)

// A backup is a file and when it was taken.
type backup struct {
	file      string
	call, end int64
}

func takeBackup(ctx context.Context, c *clientv3.Client, file string) (backup, error) {
	b := backup{file: file, call: moment()}
	stream, err := c.Snapshot(ctx)
	if err != nil {
		return b, err
	}
	defer stream.Close()
	to, err := os.Create(file)
	if err != nil {
		return b, err
	}
	defer to.Close()
	if _, err := io.Copy(to, stream); err != nil {
		return b, err
	}
	b.end = moment()
	return b, nil
}

// hash is the store's own of all its records, and of what it depends on.
func hash(t *testing.T, b *rig.Backend) string {
	t.Helper()
	r, err := b.Client(t).HashKV(context.Background(), b.URL, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x of revision %d, compacted up to %d", r.Hash, r.Header.Revision, r.CompactRevision)
}

func restoreBackup(t *testing.T, file string) *rig.Backend {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "restored")
	rig.Contains(t, tool(t, "restore", file, "--data-dir="+dir), "restored revision ")
	return rig.StartBackendIn(t, "strata-storage", dir, rig.FreePort(t))
}

// restored is what a backup holds, as if a client had read it while the backup was made.
func (s *tormented) restored(b backup) (porcupine.Operation, error) {
	store := restoreBackup(s.t, b.file)
	defer store.Stop(syscall.SIGKILL)
	c := store.Client(s.t)
	left := do(context.Background(), c, action{kind: "read"})
	if left.unknown {
		return porcupine.Operation{}, fmt.Errorf("it can't be read")
	}
	// Its history leads to the same.
	of := &tormented{t: s.t, backend: store, random: s.random, state: state{left.revision, left.records}}
	read := porcupine.Operation{ClientId: clients + 1, Input: action{kind: "read"}, Output: left, Call: b.call, Return: b.end}
	return read, of.judgeThePast(context.Background(), c, s.state, nil)
}

// backUp lets clients write while backups are taken, one after another, and the store is compacted and defragmented;
// then it is killed. Each backup is a read of everything among their operations.
func (s *tormented) backUp() error {
	const backups = 3
	taken := make(chan backup, backups)
	process := s.backend.Process
	operations, heard := s.work(process.Ended(), func() {
		go func() {
			defer process.Stop(syscall.SIGKILL)
			defer close(taken)
			c := s.dial()
			defer c.Close()
			ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
			defer cancel()
			go func() {
				for ctx.Err() == nil {
					c.Defragment(ctx, s.backend.URL)
					time.Sleep(time.Duration(20+s.serial) * time.Millisecond)
				}
			}()
			c.Compact(ctx, s.state.revision)
			for i := range backups {
				time.Sleep(50 * time.Millisecond)
				b, err := takeBackup(ctx, c, filepath.Join(s.t.TempDir(), fmt.Sprint("snapshot", i)))
				if err != nil {
					s.t.Errorf("backup %d: %v", i, err)
					return
				}
				taken <- b
			}
		}()
	})
	if operations == nil {
		return fmt.Errorf("it ended while it started: %s", s.backend.Output())
	}
	for b := range taken {
		read, err := s.restored(b)
		if err != nil {
			return fmt.Errorf("a backup: %w", err)
		}
		operations = append(operations, read)
	}
	s.start()
	return s.judge(operations, heard)
}

func TestABackupTakenWhileWritingIsAMomentOfTheStore(t *testing.T) {
	s := newTormented(t)
	episodes := rig.Times("STRATA_BACKUPS", 2)
	operations := int64(0)
	for s.serial = 0; s.serial < episodes; s.serial++ {
		before := s.state.revision
		if err := s.backUp(); err != nil {
			t.Fatalf("episode %d: %v", s.serial, err)
		}
		operations += s.state.revision - before
	}
	t.Logf("%d episodes, %d revisions", episodes, operations)
}

func TestTheHashOfAllRecordsOutlivesDefragmentationRestartBackupAndRestore(t *testing.T) {
	s := newTormented(t)
	process := s.backend.Process
	operations, heard := s.work(process.Ended(), func() {
		time.AfterFunc(300*time.Millisecond, func() { process.Stop(syscall.SIGKILL) })
	})
	s.start()
	if err := s.judge(operations, heard); err != nil {
		t.Fatal(err)
	}
	b := s.backend
	c := b.Client(t)
	if _, err := c.Compact(context.Background(), s.state.revision/2, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	want := hash(t, b)
	if _, err := c.Defragment(context.Background(), b.URL); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "snapshot")
	if _, err := takeBackup(context.Background(), c, file); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{"a defragmentation": hash(t, b)}
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		b.Stop(signal)
		b.Launch()
		got["a restart after "+signal.String()] = hash(t, b)
	}
	got["a restore"] = hash(t, restoreBackup(t, file))
	for after, is := range got {
		if is != want {
			t.Errorf("after %s the hash is %s, not %s", after, is, want)
		}
	}
	if _, err := c.Put(context.Background(), "k0", "another"); err != nil || hash(t, b) == want {
		t.Errorf("a write leaves the hash as it was, or fails: %v", err)
	}
}

func TestASnapshotIsNotRestoredOverAStore(t *testing.T) {
	b := rig.StartBackend(t, "strata-storage")
	file := filepath.Join(t.TempDir(), "snapshot")
	if _, err := takeBackup(context.Background(), b.Client(t), file); err != nil {
		t.Fatal(err)
	}
	before := hash(t, b)
	b.Stop(syscall.SIGTERM)
	if out, err := exec.Command(rig.Strata(t, "strata-storage"), "restore", file, "--data-dir="+b.Dir).CombinedOutput(); err == nil {
		t.Errorf("a store was overwritten: %s", out)
	}
	b.Launch()
	if after := hash(t, b); after != before {
		t.Errorf("%s became %s", before, after)
	}
}
