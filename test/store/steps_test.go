package store

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"strata/test/rig"
)

// Each call that a program makes on its directory fails once, alone or with all that follow, as disks fail (EIO) and as
// full ones do (ENOSPC).

// needsRoom are the calls that a full disk refuses.
var needsRoom = map[string]bool{"create": true, "make": true, "write": true, "truncate": true, "allocate": true, "sync": true, "rename": true}

// A fault fails the call with this number.
type fault struct {
	at      int
	call    string
	failure syscall.Errno
	lasting bool
}

func (f fault) String() string {
	from := ""
	if f.lasting {
		from = " and all that follow"
	}
	return fmt.Sprintf("%v of call %d (%s)%s", f.failure, f.at, f.call, from)
}

func (f fault) env(t *testing.T, dir string) []string {
	from := fmt.Sprint(f.at)
	if f.lasting {
		from = "+" + from
	}
	return []string{"LD_PRELOAD=" + rig.Peer(t, "libdisk_faults.so"), "DISK_DIR=" + dir, fmt.Sprintf("DISK_FAIL=step:%s:%d", from, f.failure)}
}

// eachFault calls `try` with every fault that the calls of a run without one allow, or a part of them.
func eachFault(t *testing.T, run func(dir string, env []string), try func(t *testing.T, dir string, f fault)) {
	t.Helper()
	dir, log := filepath.Join(t.TempDir(), "d"), filepath.Join(t.TempDir(), "steps")
	run(dir, []string{"LD_PRELOAD=" + rig.Peer(t, "libdisk_faults.so"), "DISK_DIR=" + dir, "DISK_STEPS=" + log})
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	calls := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(calls) < 20 {
		t.Fatalf("it made only %d calls: %v", len(calls), calls)
	}
	step := rig.Times("STRATA_FAULT_STEP", 23)
	var faults []fault
	for at, call := range calls {
		faults = append(faults, fault{at + 1, call, syscall.EIO, false}, fault{at + 1, call, syscall.EIO, true})
		if kind, _, _ := strings.Cut(call, " "); needsRoom[kind] {
			faults = append(faults, fault{at + 1, call, syscall.ENOSPC, false}, fault{at + 1, call, syscall.ENOSPC, true})
		}
	}
	tried := 0
	for i := 0; i < len(faults); i += step {
		tried++
		t.Run(faults[i].String(), func(t *testing.T) { try(t, filepath.Join(t.TempDir(), "d"), faults[i]) })
	}
	t.Logf("%d faults tried, of %d in %d calls", tried, len(faults), len(calls))
}

// oneLine is what a program said of its error.
func oneLine(t *testing.T, output, dir string) {
	t.Helper()
	said := 0
	for _, line := range strings.Split(output, "\n") {
		if strings.HasPrefix(line, "strata-storage: ") {
			said++
			rig.Contains(t, line, dir)
		}
	}
	if said != 1 {
		t.Errorf("it ended with %d lines of an error: %s", said, output)
	}
}

// A life is a first start, writes, a defragmentation, more writes, a backup, an end. Returned is what was acknowledged
// before the backup, and in all.
type life struct {
	backedUp, acknowledged map[string]bool
	backup                 string
	refusals               []string
}

func live(t *testing.T, dir string, env []string) (l life) {
	port := rig.FreePort(t)
	p := rig.Start(t, "/usr/bin/env", append(append([]string{}, env...), rig.Strata(t, "strata-storage"), "serve", "--data-dir="+dir,
		fmt.Sprintf("--listen-client-urls=http://127.0.0.1:%d", port), "--backend-batch-limit=10")...)
	b := &rig.Backend{Process: p, URL: fmt.Sprintf("http://127.0.0.1:%d", port), Dir: dir}
	l.acknowledged, l.backedUp = map[string]bool{}, map[string]bool{}
	c := (&tormented{t: t, backend: b}).dial()
	if c == nil {
		oneLine(t, p.Output(), dir)
		return l
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
	defer cancel()
	put := func(keys ...string) {
		for _, key := range keys {
			if _, err := c.Put(ctx, key, strings.Repeat("v", 5000)); err != nil {
				l.refusals = append(l.refusals, err.Error())
			} else {
				l.acknowledged[key] = true
			}
		}
	}
	put("a", "b", "c", "d")
	c.Defragment(ctx, b.URL)
	put("e", "f", "g")
	for key := range l.acknowledged {
		l.backedUp[key] = true
	}
	file := filepath.Join(t.TempDir(), "backup")
	if _, err := takeBackup(ctx, c, file); err == nil {
		l.backup = file
	}
	put("h")
	p.Stop(syscall.SIGTERM)
	return l
}

// left checks that a store in `dir` starts, has all of them, and takes writes.
func left(t *testing.T, dir string, acknowledged map[string]bool) {
	t.Helper()
	b := rig.StartBackendIn(t, "strata-storage", dir, rig.FreePort(t))
	defer b.Stop(syscall.SIGKILL)
	c := b.Client(t)
	all, err := c.Get(context.Background(), "\x00", clientv3.WithFromKey())
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, kv := range all.Kvs {
		there[string(kv.Key)] = true
	}
	for key := range acknowledged {
		if !there[key] {
			t.Errorf("%s was acknowledged, and isn't there", key)
		}
	}
	if _, err := c.Put(context.Background(), "after", "v"); err != nil {
		t.Errorf("it takes no write: %v", err)
	}
}

func TestACallThatFailsInAStoresLifeCostsNoAnsweredWrite(t *testing.T) {
	eachFault(t, func(dir string, env []string) { live(t, dir, env) }, func(t *testing.T, dir string, f fault) {
		l := live(t, dir, f.env(t, dir))
		for _, refusal := range l.refusals {
			if !strings.Contains(refusal, "database space exceeded") && !strings.Contains(refusal, "the store's disk failed") {
				t.Errorf("refused with %q", refusal)
			}
		}
		left(t, dir, l.acknowledged)
		if l.backup != "" {
			restored := filepath.Join(t.TempDir(), "restored")
			tool(t, "restore", l.backup, "--data-dir="+restored)
			left(t, restored, l.backedUp)
		}
	})
}

// What makes a directory: it is made whole, or the program says why not and leaves nothing that a second attempt minds.
func eachFaultOf(t *testing.T, acknowledged map[string]bool, args func(dir string) []string) {
	run := func(dir string, env []string) (string, error) {
		command := exec.Command(rig.Strata(t, "strata-storage"), args(dir)...)
		command.Env = append(os.Environ(), env...)
		out, err := command.CombinedOutput()
		return string(out), err
	}
	eachFault(t, func(dir string, env []string) {
		if out, err := run(dir, env); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}, func(t *testing.T, dir string, f fault) {
		if out, err := run(dir, f.env(t, dir)); err != nil {
			oneLine(t, out, dir)
			if _, err := os.Stat(filepath.Join(dir, "records.mdb")); err == nil && !f.lasting {
				t.Errorf("a store is there, of which it said: %s", out)
			}
			os.RemoveAll(dir) // what couldn't be removed either
			if out, err := run(dir, nil); err != nil {
				t.Fatalf("again: %v: %s", err, out)
			}
		}
		left(t, dir, acknowledged)
	})
}

func TestACallThatFailsInARestoreLeavesNoHalfStore(t *testing.T) {
	l := live(t, filepath.Join(t.TempDir(), "d"), nil)
	eachFaultOf(t, l.backedUp, func(dir string) []string { return []string{"restore", l.backup, "--data-dir=" + dir} })
}

func TestACallThatFailsInARecoveryLeavesNoHalfStore(t *testing.T) {
	b := rig.StartBackend(t, "strata-storage")
	acknowledged, _, _ := writeAll(t, b, 5)
	b.Stop(syscall.SIGKILL)
	eachFaultOf(t, acknowledged, func(dir string) []string { return []string{"recover", b.Dir, "--data-dir=" + dir} })
}

// A store that was killed has its log to do again, and that fails.
func TestACallThatFailsInARestartLosesNothing(t *testing.T) {
	b := rig.StartBackend(t, "strata-storage", oftenSynced)
	acknowledged, _, _ := writeAll(t, b, 9)
	b.Stop(syscall.SIGKILL)
	restart := func(t *testing.T, dir string, env []string) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		copyFiles(t, b.Dir, dir)
		port := rig.FreePort(t)
		p := rig.Start(t, "/usr/bin/env", append(append([]string{}, env...), rig.Strata(t, "strata-storage"), "serve", "--data-dir="+dir,
			fmt.Sprintf("--listen-client-urls=http://127.0.0.1:%d", port))...)
		if c := (&tormented{t: t, backend: &rig.Backend{Process: p, URL: fmt.Sprintf("http://127.0.0.1:%d", port)}}).dial(); c != nil {
			c.Close()
			p.Stop(syscall.SIGTERM)
		} else {
			oneLine(t, p.Output(), dir)
		}
	}
	eachFault(t, func(dir string, env []string) { restart(t, dir, env) }, func(t *testing.T, dir string, f fault) {
		restart(t, dir, f.env(t, dir))
		left(t, dir, acknowledged)
	})
}
