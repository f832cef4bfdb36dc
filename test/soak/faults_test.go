package soak

import (
	"context"
	"math/rand"
	"slices"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"strata/test/rig"
)

// A fault is something bad that begins and ends. It explains errors of these kinds, of the servers that it hits, until
// they answer right again.
type fault struct {
	name    string
	hits    []string      // servers
	allows  []string      // kinds of errors
	holdsUp time.Duration // a read, for how much longer than nothing can be written
	lasts   time.Duration
	rare    bool
	begin   func(w *world, r *rand.Rand) (end func())
}

var (
	overMembers = []string{"direct", "proxied"}
	byPath      = []string{"proxied"}
	none        = func() {}

	// What the servers' users see of a backend that can't be reached, and of a server that isn't there.
	nothing []string
	late    = []string{"504", notReady, behind}
	anew    = append(slices.Clone(late), "410") // all watches broke, and everything was listed anew
	gone    = []string{noAnswer, notReady, notYet, "410"}
)

// How long a read may be held up, on a machine that is busy with other things: where others answer in the place of who
// is away, where they have to find that out, and where a read waits for as long as it may (--freshness-read-timeout, 5 s).
const (
	byOthers      = 3 * time.Second
	whileLooking  = 5 * time.Second
	atItsDeadline = 8 * time.Second
)

// faults are all that there are. One at a time: with two of three members away nothing can be right.
var faults = []fault{
	{"follower killed", overMembers, nothing, byOthers, 3 * time.Second, false, kill((*world).follower)},
	{"leader killed", overMembers, late, whileLooking, 3 * time.Second, false, kill((*world).leader)},
	{"follower frozen", overMembers, nothing, byOthers, 8 * time.Second, false, freeze((*world).follower)},
	{"leader frozen", overMembers, late, whileLooking, 8 * time.Second, false, freeze((*world).leader)},
	{"follower parted", overMembers, nothing, byOthers, 8 * time.Second, false, part((*world).follower, (*rig.Cluster).Part)},
	{"leader parted", overMembers, late, whileLooking, 8 * time.Second, false, part((*world).leader, (*rig.Cluster).Part)},
	{"all members killed", overMembers, anew, whileLooking, 3 * time.Second, true, killAll},
	{"compacted", overMembers, nothing, byOthers, 0, false, func(w *world, _ *rand.Rand) func() {
		_, _ = w.etcd.Compact(w.shortly(), w.writer.Newest())
		return none
	}},
	{"defragmented", overMembers, nothing, byOthers, 0, false, func(w *world, r *rand.Rand) func() {
		_, _ = clientv3.NewMaintenance(w.etcd).Defragment(w.shortly(), w.cluster.Members[r.Intn(3)].URL)
		return none
	}},
	{"path silent", byPath, anew, atItsDeadline, 8 * time.Second, false, onPath(rig.Fault{Silent: true})},
	{"path of 200 ms", byPath, late, atItsDeadline, 6 * time.Second, false, onPath(rig.Fault{Delay: 200 * time.Millisecond})},
	{"path of 7 bytes a piece", byPath, nothing, byOthers, 3 * time.Second, false, onPath(rig.Fault{Slice: 7})},
	{"path of 2 KB/s", byPath, anew, atItsDeadline, 6 * time.Second, false, onPath(rig.Fault{Rate: 2000})},
	{"path that flips bits", byPath, anew, atItsDeadline, 4 * time.Second, false, onPath(rig.Fault{Flip: 5000})},
	{"path that repeats", byPath, anew, atItsDeadline, 4 * time.Second, false, onPath(rig.Fault{Twice: 20})},
	{"path that cuts", byPath, anew, atItsDeadline, 4 * time.Second, false, func(w *world, r *rand.Rand) func() {
		return onPath(rig.Fault{Cut: 1 + r.Intn(10_000)})(w, r)
	}},
	{"path reset", byPath, anew, atItsDeadline, 0, false, pathReset},
	{"log read slowly", []string{"direct"}, nothing, byOthers, 10 * time.Second, false, func(w *world, _ *rand.Rand) func() {
		w.log.slow.Store(true)
		return func() { w.log.slow.Store(false) }
	}},
	{"server ended", []string{"direct"}, gone, byOthers, 0, true, restart("direct", syscall.SIGTERM)},
	{"server killed", []string{"direct"}, gone, byOthers, 0, true, restart("direct", syscall.SIGKILL)},
	{"server on its store killed", []string{"own"}, gone, byOthers, 0, true, restart("own", syscall.SIGKILL)},
}

func faultNamed(name string) fault {
	return faults[slices.IndexFunc(faults, func(f fault) bool { return f.name == name })]
}

func (w *world) shortly() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	w.t.Cleanup(cancel)
	return ctx
}

// A chooser says which member something befalls.
type chooser func(w *world, r *rand.Rand) int

func (w *world) leader(*rand.Rand) int { return w.cluster.Leader(w.t) }

func (w *world) follower(r *rand.Rand) int { return (w.leader(r) + 1 + r.Intn(2)) % 3 }

func kill(which chooser) func(*world, *rand.Rand) func() {
	return func(w *world, r *rand.Rand) func() {
		m := w.cluster.Members[which(w, r)]
		m.Stop(syscall.SIGKILL)
		return m.Launch
	}
}

func killAll(w *world, _ *rand.Rand) func() {
	for _, m := range w.cluster.Members {
		m.Stop(syscall.SIGKILL)
	}
	return func() {
		for _, m := range w.cluster.Members {
			m.Launch()
		}
	}
}

func freeze(which chooser) func(*world, *rand.Rand) func() {
	return func(w *world, r *rand.Rand) func() {
		m := w.cluster.Members[which(w, r)]
		m.Signal(syscall.SIGSTOP)
		return func() { m.Signal(syscall.SIGCONT) }
	}
}

func part(which chooser, how func(*rig.Cluster, int)) func(*world, *rand.Rand) func() {
	return func(w *world, r *rand.Rand) func() {
		how(w.cluster, which(w, r))
		return w.cluster.Join
	}
}

// restart ends a server and has it back at once.
func restart(name string, signal syscall.Signal) func(*world, *rand.Rand) func() {
	return func(w *world, _ *rand.Rand) func() {
		s := w.server(name)
		s.Stop(signal)
		s.launch()
		return none
	}
}

// onPath is a fault of the proxied server's way to each member.
func onPath(f rig.Fault) func(*world, *rand.Rand) func() {
	return func(w *world, _ *rand.Rand) func() {
		for _, p := range w.proxies {
			p.Set(f)
		}
		if f.Cut > 0 {
			w.reset()
		}
		return func() {
			for _, p := range w.proxies {
				p.Set(rig.Fault{})
			}
		}
	}
}

func pathReset(w *world, _ *rand.Rand) func() {
	w.reset()
	return none
}

func (w *world) reset() {
	for _, p := range w.proxies {
		p.Reset()
	}
}
