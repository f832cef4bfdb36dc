package store

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"strata/test/rig"
)

// The files of a store, and what it makes on the way to them.
var made = append([]string{"records.mdb.new", "records.mdb-wal.new", "records.mdb.defragmented"}, files...)

// copyFiles makes what is in `to` the same as in `from`.
func copyFiles(t *testing.T, from, to string) {
	t.Helper()
	for _, file := range made {
		bytes, err := os.ReadFile(filepath.Join(from, file))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, file), bytes, 0o600)
		} else if os.IsNotExist(err) {
			err = os.RemoveAll(filepath.Join(to, file))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// untilThePowerFails is that of a program whose disk loses its power at a step; `shadow` gets what is there then.
func untilThePowerFails(t *testing.T, shadow string, step int, seed int64) []string {
	return throughFaults(t, "DISK_FILES="+strings.Join(made, ","), "DISK_SHADOW="+shadow, fmt.Sprint("DISK_SEED=", seed),
		fmt.Sprint("DISK_CUT_AT=", step))
}

// cutPower runs an episode on a disk that loses its power at some step, and goes on with what was synced and, of what
// wasn't, some sectors and names. In every other one the store is also defragmented, again and again.
func (s *tormented) cutPower(settings ...string) error {
	shadow := s.t.TempDir()
	s.backend.Stop(syscall.SIGKILL)
	copyFiles(s.t, s.backend.Dir, shadow)
	s.start(append(untilThePowerFails(s.t, shadow, 1+s.random.Intn(400), s.random.Int63()), settings...)...)
	process := s.backend.Process
	limit := time.AfterFunc(5*time.Second, func() { process.Stop(syscall.SIGKILL) })
	operations, heard := s.work(process.Ended(), func() {
		if s.serial%2 == 0 {
			go defragment(s.dial(), s.backend.URL)
		}
	})
	limit.Stop()
	copyFiles(s.t, shadow, s.backend.Dir)
	s.start()
	return s.judge(operations, heard)
}

// defragment goes on until the store has ended; nil: it has.
func defragment(c *clientv3.Client, url string) {
	if c == nil {
		return
	}
	defer c.Close()
	for {
		if _, err := c.Defragment(context.Background(), url); err != nil {
			return
		}
	}
}

func TestNothingIsLostOrHalfDoneWhenThePowerFails(t *testing.T) {
	s := newTormented(t)
	cuts := rig.Times("STRATA_CUTS", 40)
	for s.serial = 0; s.serial < cuts; s.serial++ {
		if err := s.cutPower(); err != nil {
			t.Fatalf("cut %d: %v", s.serial, err)
		}
	}
	t.Logf("%d cuts, revision %d", cuts, s.state.revision)
}

// The power fails at each step of a first start: what is left is no store yet, or a whole one.
func TestAFirstStartThatLosesItsPowerIsBegunAgain(t *testing.T) {
	whole := false
	for cut := 1; !whole; cut++ {
		for seed := range 2 {
			dir, shadow := t.TempDir(), t.TempDir()
			first := exec.Command(rig.Strata(t, "strata-storage"), "serve", "--data-dir="+dir,
				fmt.Sprintf("--listen-client-urls=http://127.0.0.1:%d", rig.FreePort(t)))
			first.Env = append(os.Environ(), untilThePowerFails(t, shadow, cut, int64(seed))...)
			stderr, err := first.StderrPipe()
			if err == nil {
				err = first.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			// Until it is cut, or serves.
			for lines := bufio.NewScanner(stderr); lines.Scan(); {
				if strings.Contains(lines.Text(), "Serving the etcd v3 API") {
					whole = true
					break
				}
			}
			first.Process.Kill()
			first.Wait()
			copyFiles(t, shadow, dir)
			b := rig.StartBackendIn(t, "strata-storage", dir, rig.FreePort(t))
			if _, err := b.Client(t).Put(context.Background(), "k", "v"); err != nil {
				t.Fatalf("cut at step %d, seed %d: %v", cut, seed, err)
			}
			b.Stop(syscall.SIGKILL)
		}
		if cut > 200 {
			t.Fatal("it never serves")
		}
		if whole {
			t.Logf("%d steps of a first start", cut-1)
		}
	}
}

// The power fails at each step of a defragmentation, and of the write that follows it.
func TestADefragmentationThatLosesItsPowerCostsNoAnsweredWrite(t *testing.T) {
	b := rig.StartBackend(t, "strata-storage")
	before, _, _ := writeAll(t, b, 5)
	b.Stop(syscall.SIGKILL)
	begun, shadow, log := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "steps")
	copyFiles(t, b.Dir, begun)
	// Returned is what was acknowledged.
	live := func(step int, seed int64, settings ...string) map[string]bool {
		copyFiles(t, begun, b.Dir)
		copyFiles(t, begun, shadow)
		b.Env = append(untilThePowerFails(t, shadow, step, seed), settings...)
		b.Launch()
		defer b.Stop(syscall.SIGKILL)
		acknowledged := maps.Clone(before)
		c := (&tormented{t: t, backend: b}).dial()
		if c == nil {
			return acknowledged
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
		defer cancel()
		go func() {
			<-b.Ended()
			cancel()
		}()
		for _, key := range []string{"earlier", "later"} {
			if _, err := c.Put(ctx, key, "v"); err == nil {
				acknowledged[key] = true
			}
			if key == "earlier" {
				c.Defragment(ctx, b.URL)
			}
		}
		return acknowledged
	}
	live(0, 0, "DISK_CUTS="+log)
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	steps := strings.Split(strings.TrimSpace(string(text)), "\n")
	first := slices.Index(steps, "create records.mdb.defragmented")
	if first < 0 || !slices.Contains(steps[first:], "rename records.mdb.defragmented") {
		t.Fatalf("it wasn't defragmented: %v", steps)
	}
	cuts := rig.Times("STRATA_CUTS", len(steps)-first)
	for cut := range cuts {
		step := first + cut%(len(steps)-first)
		acknowledged := live(step+1, int64(cut))
		copyFiles(t, shadow, b.Dir)
		t.Run(fmt.Sprintf("cut %d at %s", cut, steps[step]), func(t *testing.T) { left(t, b.Dir, acknowledged) })
	}
	t.Logf("%d cuts at %d steps", cuts, len(steps)-first)
}

// The judge is worth its trust: a disk that doesn't keep what it has synced is found out.
func TestADiskThatLiesIsFoundOut(t *testing.T) {
	s := newTormented(t)
	for s.serial = 0; s.serial < 20; s.serial++ {
		if err := s.cutPower("DISK_LIES=1"); err != nil {
			t.Logf("found at cut %d: %.200v", s.serial, err)
			return
		}
	}
	t.Error("nothing was noticed")
}
