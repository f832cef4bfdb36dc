package store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"strata/test/rig"
)

// What a store keeps its records in.
var files = []string{"records.mdb", "records.mdb-wal"}

// throughFaults is the environment of a program whose disk fails as test/support/disk_faults says.
func throughFaults(t *testing.T, settings ...string) []string {
	return append([]string{"LD_PRELOAD=" + rig.Peer(t, "libdisk_faults.so"), "DISK_FILES=" + strings.Join(files, ",")}, settings...)
}

// One write after another, each of its own key; who was answered, and whether the last one was.
func writeAll(t *testing.T, b *rig.Backend, writes int) (acknowledged map[string]bool, recovered bool, refusals []string) {
	s := &tormented{t: t, backend: b}
	acknowledged = map[string]bool{}
	c := s.dial()
	if c == nil {
		return acknowledged, true, nil // it said that it can't start
	}
	defer c.Close()
	for i := range writes {
		ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
		key := fmt.Sprintf("k%03d", i)
		_, err := c.Txn(ctx).Then(clientv3.OpPut(key, strings.Repeat("v", 3000)), clientv3.OpPut(key+"'", "v")).Commit()
		cancel()
		acknowledged[key] = err == nil
		recovered = err == nil
		if err != nil {
			refusals = append(refusals, err.Error())
		}
	}
	return acknowledged, recovered, refusals
}

// Each write to the file, and each sync, fails once, with either error.
func TestADiskThatFailsCostsNoAnsweredWrite(t *testing.T) {
	const writes = 12
	counts := filepath.Join(t.TempDir(), "counts")
	run := func(t *testing.T, settings ...string) (bool, []string) {
		b := rig.StartBackend(t, "strata-storage", oftenSynced)
		b.Stop(syscall.SIGTERM)
		b.Env = throughFaults(t, settings...)
		b.Launch()
		acknowledged, recovered, refusals := writeAll(t, b, writes+1)
		b.Stop(syscall.SIGKILL)
		b.Env = nil
		b.Launch()
		c := (&tormented{t: t, backend: b}).dial()
		defer c.Close()
		left, err := c.Get(context.Background(), "k", clientv3.WithPrefix())
		if err != nil {
			t.Fatal(err)
		}
		there := map[string]bool{}
		for _, kv := range left.Kvs {
			there[string(kv.Key)] = true
		}
		for key, answered := range acknowledged {
			if answered && !there[key] {
				t.Errorf("%s was acknowledged, and isn't there", key)
			}
			if there[key] != there[key+"'"] {
				t.Errorf("%s is half there", key)
			}
		}
		if _, err := c.Put(context.Background(), "after", "1"); err != nil {
			t.Errorf("after a restart: %v", err)
		}
		return recovered, refusals
	}
	run(t, "DISK_COUNTS="+counts)
	text, err := os.ReadFile(counts)
	if err != nil {
		t.Fatal(err)
	}
	var all [2]int
	fmt.Sscan(string(text), &all[0], &all[1])
	all[0] -= 2 * all[0] / (writes + 1) // so that a write comes after the last fault
	if all[0] < writes || all[1] < writes {
		t.Fatalf("%d writes, %d syncs: the disk isn't between", all[0], all[1])
	}
	step := rig.Times("STRATA_FAULT_STEP", 4)
	tried := 0
	faults := []struct {
		kind    string
		most    int
		failure syscall.Errno
		lasting bool
	}{
		{"write", all[0], syscall.ENOSPC, false},
		{"write", all[0], syscall.ENOSPC, true},
		{"write", all[0], syscall.EIO, false},
		{"sync", all[1], syscall.ENOSPC, false},
		{"sync", all[1], syscall.EIO, false},
		{"sync", all[1], syscall.EIO, true},
	}
	for _, fault := range faults {
		for at := 1; at <= fault.most; at += step {
			tried++
			from := fmt.Sprint(at)
			if fault.lasting {
				from = "+" + from
			}
			t.Run(fmt.Sprint(fault.kind, from, fault.failure), func(t *testing.T) {
				recovered, refusals := run(t, fmt.Sprintf("DISK_FAIL=%s:%s:%d", fault.kind, from, fault.failure))
				// A full disk refuses a write; one that fails is trusted with no more of them.
				if fault.failure == syscall.ENOSPC && fault.kind == "write" && !fault.lasting && !recovered {
					t.Errorf("it didn't recover: %v", refusals)
				}
				for _, refusal := range refusals {
					if !strings.Contains(refusal, "database space exceeded") && !strings.Contains(refusal, "the store's disk failed") {
						t.Errorf("refused with %q", refusal)
					}
				}
			})
		}
	}
	t.Logf("%d faults, of %d writes and %d syncs", tried, all[0], all[1])
}

func TestADefragmentationThatTheDiskFailsIsFollowedByNoWrite(t *testing.T) {
	counts := filepath.Join(t.TempDir(), "counts")
	start := func(settings ...string) (*rig.Backend, *clientv3.Client) {
		b := rig.StartBackend(t, "strata-storage")
		b.Stop(syscall.SIGTERM)
		b.Env = throughFaults(t, settings...)
		b.Launch()
		c := b.Client(t)
		for i := range 5 {
			if _, err := c.Put(context.Background(), fmt.Sprint("k", i), "v"); err != nil {
				t.Fatal(err)
			}
		}
		return b, c
	}
	start("DISK_COUNTS=" + counts)
	text, err := os.ReadFile(counts)
	if err != nil {
		t.Fatal(err)
	}
	var writes, syncs int
	fmt.Sscan(string(text), &writes, &syncs)

	b, c := start(fmt.Sprintf("DISK_FAIL=sync:+%d:%d", syncs+1, syscall.EIO))
	if _, err := c.Defragment(context.Background(), b.URL); err == nil {
		t.Error("it was defragmented on a disk that syncs nothing")
	}
	if _, err := c.Put(context.Background(), "after", "v"); err == nil {
		t.Error("a write was acknowledged after a sync that failed")
	}
	if left, err := c.Get(context.Background(), "k", clientv3.WithPrefix()); err == nil && left.Count != 5 {
		t.Errorf("%d of 5 are read", left.Count)
	}
	b.Stop(syscall.SIGKILL)
	b.Env = nil
	b.Launch()
	c = b.Client(t)
	if left, err := c.Get(context.Background(), "k", clientv3.WithPrefix()); err != nil || left.Count != 5 {
		t.Errorf("after a restart: %v, %v", left, err)
	}
	if _, err := c.Put(context.Background(), "after", "v"); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

// What is read-only at the start is said in one line, and left as it is.
func TestADirectoryThatIsReadOnlyIsSaidAtTheStart(t *testing.T) {
	made := rig.StartBackend(t, "strata-storage")
	if _, err := made.Client(t).Put(context.Background(), "k", "v"); err != nil {
		t.Fatal(err)
	}
	made.Stop(syscall.SIGTERM)
	for name, program := range map[string][]string{
		"store": {rig.Strata(t, "strata-storage"), "serve", fmt.Sprintf("--listen-client-urls=http://127.0.0.1:%d", rig.FreePort(t)), "--data-dir="},
		"cache": {rig.Strata(t, "strata-apiserver"), "--etcd-servers=http://127.0.0.1:1", fmt.Sprintf("--secure-port=%d", rig.FreePort(t)), "--cache-dir="},
	} {
		for what, dir := range map[string]string{"empty": t.TempDir(), "absent": filepath.Join(t.TempDir(), "d"), "made": made.Dir} {
			if name == "cache" && what == "made" {
				continue // whose, it has said before
			}
			t.Run(name+" "+what, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
				defer cancel()
				flag := len(program) - 1
				command := exec.CommandContext(ctx, program[0], append(program[1:flag:flag], program[flag]+dir)...)
				command.Env = append(os.Environ(), "LD_PRELOAD="+rig.Peer(t, "libdisk_faults.so"), "DISK_DIR="+dir, "DISK_READ_ONLY=1")
				out, _ := command.CombinedOutput()
				lines := strings.Split(strings.TrimSpace(string(out)), "\n")
				if code := command.ProcessState.ExitCode(); code != 1 {
					t.Errorf("it ended with %d: %s", code, out)
				}
				last := lines[len(lines)-1]
				rig.Contains(t, last, filepath.Base(program[0])+": "+strings.TrimSuffix(program[flag], "=")+": ")
				rig.Contains(t, last, dir)
				rig.Contains(t, last, "Read-only file system")
			})
		}
	}
	left(t, made.Dir, map[string]bool{"k": true})
}

func TestAStoreEndsWhileItOpensOnADiskThatHangs(t *testing.T) {
	p := rig.StartBackend(t, "strata-storage")
	if _, err := p.Client(t).Put(context.Background(), "k", "v"); err != nil {
		t.Fatal(err)
	}
	p.Stop(syscall.SIGKILL) // so that it has something to sync
	p.Env = throughFaults(t, "DISK_SLOW=600000")
	p.Launch()
	rig.Eventually(t, "it opens", func() error {
		opened, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.Pid()))
		for _, file := range opened {
			if name, _ := os.Readlink(file); name == filepath.Join(p.Dir, "records.mdb-wal") {
				return nil
			}
		}
		return errors.New("it doesn't yet")
	})
	// Two that come at once are one.
	rig.Eventually(t, "it ends", func() error {
		p.Signal(syscall.SIGTERM)
		select {
		case <-p.Ended():
			return nil
		default:
			return errors.New("it goes on")
		}
	})
	if code := p.Stop(syscall.SIGKILL); code != -1 {
		t.Errorf("it ended with %d, and not of the second signal", code)
	}
}

// Writes wait for their sync, and share it; nobody else waits.
func TestADiskThatSyncsSlowlyHoldsUpWritesAlone(t *testing.T) {
	const syncTakes = time.Second
	monitoring := fmt.Sprintf("http://127.0.0.1:%d", rig.FreePort(t))
	b := rig.StartBackend(t, "strata-storage", "--listen-metrics-urls="+monitoring)
	b.Stop(syscall.SIGTERM)
	b.Env = throughFaults(t, fmt.Sprint("DISK_SLOW=", syncTakes.Milliseconds()))
	b.Launch()
	c := b.Client(t)
	ctx, cancel := context.WithTimeout(context.Background(), 2*rig.Patience)
	defer cancel()
	put := func(key string) time.Duration {
		begun := time.Now()
		if _, err := c.Put(ctx, key, "v"); err != nil {
			t.Error(err)
		}
		return time.Since(begun)
	}
	put("k")

	var alone []time.Duration
	for range 5 {
		alone = append(alone, put("k"))
	}
	slices.Sort(alone)
	if alone[0] < syncTakes || alone[2] > 3*syncTakes {
		t.Errorf("a write takes %v", alone)
	}

	// Two hundred at a time share a few syncs. Reads and watches go on beside them.
	watched := c.Watch(ctx, "w", clientv3.WithPrefix())
	var writers sync.WaitGroup
	begun := time.Now()
	for i := range 200 {
		writers.Add(1)
		go func() {
			defer writers.Done()
			put(fmt.Sprint("w", i))
		}()
	}
	written := make(chan struct{})
	go func() { writers.Wait(); close(written) }()
	var reads, watches []time.Duration
	for writing := true; writing; {
		select {
		case <-written:
			writing = false
		default:
		}
		begun := time.Now()
		if _, err := c.Get(ctx, "k"); err != nil {
			t.Fatal(err)
		}
		reads = append(reads, time.Since(begun))
		begun = time.Now()
		told, leave := context.WithCancel(ctx)
		if answer := <-c.Watch(told, "k", clientv3.WithRev(2)); len(answer.Events) == 0 {
			t.Fatalf("a watch was told %+v", answer)
		}
		leave()
		watches = append(watches, time.Since(begun))
		for _, path := range []string{"/health", "/readyz"} {
			if response, err := http.Get(monitoring + path); err != nil || response.StatusCode != http.StatusOK {
				t.Fatalf("%s: %v, %v", path, response, err)
			} else {
				response.Body.Close()
			}
		}
	}
	together := time.Since(begun)
	if together > 10*syncTakes {
		t.Errorf("200 writes at a time take %v", together)
	}
	for events := 0; events < 200; {
		answer, more := <-watched
		if !more {
			t.Fatalf("the watch ended after %d events", events)
		}
		events += len(answer.Events)
	}
	slices.Sort(reads)
	slices.Sort(watches)
	if reads[len(reads)/2] > syncTakes/3 || watches[len(watches)/2] > syncTakes/3 {
		t.Errorf("beside them reads take %v, watches %v", reads[len(reads)/2], watches[len(watches)/2])
	}
	select {
	case <-b.Ended():
		t.Error("it has ended")
	default:
	}
	t.Logf("a write %v; 200 at a time %v; of %d reads beside them half took %v, the slowest %v; of watches half %v, the slowest %v", alone[2],
		together, len(reads), reads[len(reads)/2], reads[len(reads)-1], watches[len(watches)/2], watches[len(watches)-1])
}
