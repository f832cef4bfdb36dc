package soak

import (
	"context"
	"crypto/x509"
	"math/rand"
	"slices"
	"syscall"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"strata/test/rig"
)

// A fault is something bad that begins and ends. It explains errors of some kinds, of the servers that it hits, until they
// answer right again.
type fault struct {
	name    string
	hits    map[string][]string // servers, and the kinds of each
	holdsUp time.Duration       // a read, for how much longer than nothing can be written
	lasts   time.Duration
	rare    bool
	begin   func(w *world, r *rand.Rand) (end func())
}

var (
	overMembers = []string{"direct", "proxied", "kube"}
	byPath      = []string{"proxied"}
	byAPI       = []string{"kube"}
	none        = func() {}

	// What the servers' users see of a backend that can't be reached, and of a server that isn't there.
	nothing []string
	late    = []string{"504", notReady, behind}
	anew    = append(slices.Clone(late), "410") // all watches broke, and everything was listed anew
	gone    = []string{noAnswer, notReady, notYet, "410"}

	readByKube = map[string][]string{"direct": gone, "kube": late}
)

func on(servers, kinds []string) map[string][]string {
	hits := map[string][]string{}
	for _, name := range servers {
		hits[name] = kinds
	}
	return hits
}

// How long a read may be held up, on a machine that is busy with other things: where others answer in the place of who
// is away, where they have to find that out, and where a read waits for as long as it may (--freshness-read-timeout, 5 s).
const (
	byOthers      = 5 * time.Second
	whileLooking  = 6 * time.Second
	atItsDeadline = 10 * time.Second
)

// faults are all that there are. One at a time: with two of three members away nothing can be right.
var faults = []fault{
	{"follower killed", on(overMembers, nothing), byOthers, 3 * time.Second, false, kill((*world).follower)},
	{"leader killed", on(overMembers, late), whileLooking, 3 * time.Second, false, kill((*world).leader)},
	{"follower frozen", on(overMembers, nothing), byOthers, 8 * time.Second, false, freeze((*world).follower)},
	{"leader frozen", on(overMembers, late), whileLooking, 8 * time.Second, false, freeze((*world).leader)},
	{"follower parted", on(overMembers, nothing), byOthers, 8 * time.Second, false, part((*world).follower, (*rig.Cluster).Part)},
	{"leader parted", on(overMembers, late), whileLooking, 8 * time.Second, false, part((*world).leader, (*rig.Cluster).Part)},
	{"follower parted silently", on(overMembers, nothing), byOthers, 8 * time.Second, false, part((*world).follower, (*rig.Cluster).PartSilently)},
	{"leader parted silently", on(overMembers, late), whileLooking, 8 * time.Second, false, part((*world).leader, (*rig.Cluster).PartSilently)},
	{"member replaced", on(overMembers, nothing), whileLooking, 0, true, replace},
	{"all members killed", on(overMembers, anew), whileLooking, 3 * time.Second, true, killAll},
	{"compacted", on(overMembers, nothing), byOthers, 0, false, func(w *world, _ *rand.Rand) func() {
		_, _ = w.etcd.Compact(w.shortly(), w.writer.Newest())
		return none
	}},
	{"defragmented", on(overMembers, nothing), byOthers, 0, false, func(w *world, r *rand.Rand) func() {
		_, _ = clientv3.NewMaintenance(w.etcd).Defragment(w.shortly(), w.cluster.Members[r.Intn(3)].URL)
		return none
	}},
	{"members without space", on(overMembers, nothing), byOthers, 3 * time.Second, false, fill},
	{"path silent", on(byPath, anew), atItsDeadline, 8 * time.Second, false, onPath(rig.Fault{Silent: true})},
	{"path of 200 ms", on(byPath, late), atItsDeadline, 6 * time.Second, false, onPath(rig.Fault{Delay: 200 * time.Millisecond})},
	{"path of 7 bytes a piece", on(byPath, nothing), byOthers, 3 * time.Second, false, onPath(rig.Fault{Slice: 7})},
	{"path of 2 KB/s", on(byPath, anew), atItsDeadline, 6 * time.Second, false, onPath(rig.Fault{Rate: 2000})},
	{"path that flips bits", on(byPath, anew), atItsDeadline, 4 * time.Second, false, onPath(rig.Fault{Flip: 5000})},
	{"path that repeats", on(byPath, anew), atItsDeadline, 4 * time.Second, false, onPath(rig.Fault{Twice: 20})},
	{"path that cuts", on(byPath, anew), atItsDeadline, 4 * time.Second, false, func(w *world, r *rand.Rand) func() {
		return onPath(rig.Fault{Cut: 1 + r.Intn(10_000)})(w, r)
	}},
	{"path reset", on(byPath, anew), atItsDeadline, 0, false, pathReset},
	{"client certificate ended", on(byPath, anew), atItsDeadline, 4 * time.Second, false, certificateEnds},
	{"way to the API silent", on(byAPI, late), atItsDeadline, 8 * time.Second, false, onAPI(rig.Fault{Silent: true})},
	{"way to the API cuts", on(byAPI, late), atItsDeadline, 4 * time.Second, false, onAPI(rig.Fault{Cut: 5000})},
	{"way to the API flips bits", on(byAPI, late), atItsDeadline, 4 * time.Second, false, onAPI(rig.Fault{Flip: 5000})},
	{"log read slowly", on([]string{"direct"}, nothing), byOthers, 10 * time.Second, false, func(w *world, _ *rand.Rand) func() {
		w.log.slow.Store(true)
		return func() { w.log.slow.Store(false) }
	}},
	{"server ended", readByKube, byOthers, 0, true, restart("direct", syscall.SIGTERM)},
	{"server killed", readByKube, byOthers, 0, true, restart("direct", syscall.SIGKILL)},
	{"store killed", on([]string{"stored"}, late), atItsDeadline, 3 * time.Second, false, func(w *world, _ *rand.Rand) func() {
		w.stored.Stop(syscall.SIGKILL)
		return w.stored.Launch
	}},
	{"server on its store killed", on([]string{"own"}, gone), byOthers, 0, true, restart("own", syscall.SIGKILL)},
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

// replace has another member, without a record, in the place of the oldest.
func replace(w *world, _ *rand.Rand) func() {
	url := w.cluster.Members[0].URL
	w.cluster.Remove(w.t)
	w.cluster.Add(w.t, url)
	return none
}

// fill has the members take no write, as if there were no space.
func fill(w *world, _ *rand.Rand) func() {
	alarm := func(action etcdserverpb.AlarmRequest_AlarmAction) {
		_, err := etcdserverpb.NewMaintenanceClient(w.etcd.ActiveConnection()).Alarm(w.shortly(),
			&etcdserverpb.AlarmRequest{Action: action, Alarm: etcdserverpb.AlarmType_NOSPACE})
		if err != nil {
			w.t.Errorf("%v of the alarm: %v", action, err)
		}
	}
	alarm(etcdserverpb.AlarmRequest_ACTIVATE)
	return func() { alarm(etcdserverpb.AlarmRequest_DEACTIVATE) }
}

// certificateEnds has the proxied server come back to the members with a certificate whose time is over.
func certificateEnds(w *world, _ *rand.Rand) func() {
	certificate, key := w.ca.etcd.Otherwise(w.t, "strata", func(c *x509.Certificate) {
		c.ExtKeyUsage, c.NotAfter = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, time.Now().Add(-time.Minute)
	})
	w.writePair("etcd", certificate, key)
	time.Sleep(takenWithin)
	w.reset()
	return func() {
		certificate, key := w.ca.etcd.Client(w.t, "strata")
		w.writePair("etcd", certificate, key)
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
	return func(w *world, _ *rand.Rand) func() { return spoil(f, w.proxies...) }
}

// onAPI is a fault of the way to the API server that the server of its records reads.
func onAPI(f rig.Fault) func(*world, *rand.Rand) func() {
	return func(w *world, _ *rand.Rand) func() { return spoil(f, w.api) }
}

func spoil(f rig.Fault, ways ...*rig.Proxy) (end func()) {
	for _, p := range ways {
		p.Set(f)
		if f.Cut > 0 {
			p.Reset()
		}
	}
	return func() {
		for _, p := range ways {
			p.Set(rig.Fault{})
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
