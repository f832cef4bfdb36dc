package cluster

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"strata/test/history"
	"strata/test/rig"
)

// A storm is a cluster in which clients follow what a writer does.
type storm struct {
	*cluster
	writer    *history.Writer
	client    *clientv3.Client
	followers []*follower
	readers   []*httpReader
	rate      int
	calm      time.Duration // between two disturbances
	blown     time.Duration

	idleFrom, idleTo time.Time
}

// How many changes a second there are, instead of a few: then each kind of clients has a cluster of its own.
const ownRate = "STRATA_STORM"

func newStorm(t *testing.T) *storm {
	s := &storm{cluster: newCluster(t, "--watch-history-age=4s"), rate: 100, calm: 2 * time.Second}
	if rate, err := strconv.Atoi(os.Getenv(ownRate)); err == nil {
		s.rate, s.calm = rate, 10*time.Second
	}
	for _, name := range history.Namespaces {
		s.createNamespace(name)
	}
	s.client = s.records.Client(t)
	s.writer = history.StartWriter(t, s.client, 200)
	return s
}

// inStorm disturbs what clients follow, and judges what they were told.
func inStorm(t *testing.T, clients map[string]func(s *storm)) {
	t.Helper()
	through := func(t *testing.T, clients map[string]func(s *storm)) {
		t.Helper()
		s := newStorm(t)
		for _, begin := range clients {
			begin(s)
		}
		s.disturb()
		s.finish()
	}
	if os.Getenv(ownRate) == "" {
		through(t, clients)
		return
	}
	for name, begin := range clients {
		t.Run(name, func(t *testing.T) { through(t, map[string]func(*storm){name: begin}) })
	}
}

func (s *storm) finish() {
	s.t.Helper()
	s.writer.End()
	timelines := map[string]history.Timeline{}
	changes := 0
	for _, resource := range followed {
		timelines[resource] = s.writer.Timeline(resource)
		changes += len(timelines[resource])
	}
	s.t.Logf("%d changes, %.0f a second while it blew", changes, float64(changes)/s.blown.Seconds())
	for _, f := range s.followers {
		s.judge(f, timelines)
	}
	for _, r := range s.readers {
		r.finish(s.t, timelines)
	}
}

// blow changes records for a while.
func (s *storm) blow() {
	s.writer.Pace(s.rate)
	time.Sleep(s.calm)
	s.blown += s.calm
}

func (s *storm) restart(signal syscall.Signal) {
	s.t.Helper()
	s.strata.Stop(signal)
	s.strata.Launch()
	s.awaitServed()
}

func (s *storm) awaitServed() {
	s.t.Helper()
	rig.EventuallyWithin(s.t, time.Minute, "Strata serves", func() error {
		if code, body := s.ask("/readyz", direct{}); code != 200 {
			return fmt.Errorf("%d %s", code, body)
		}
		return nil
	})
}

func (s *storm) compact() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
	defer cancel()
	now, err := s.client.Get(ctx, "/")
	s.check(err)
	_, err = s.client.Compact(ctx, now.Header.Revision, clientv3.WithCompactPhysical())
	s.check(err)
}

// idle is time in which others write, and nobody of ours: watches end, and go on where the last bookmark was, though
// nothing is known any more of what was before.
func (s *storm) idle() {
	s.t.Helper()
	s.writer.Pace(0)
	others := func(until time.Time) {
		for time.Now().Before(until) {
			rig.Put(s.t, s.client, "/strata.test/other", "x")
			time.Sleep(100 * time.Millisecond)
		}
	}
	others(time.Now().Add(15 * time.Second)) // whoever tries again does so
	s.idleFrom = time.Now()
	others(s.idleFrom.Add(4 * time.Second))
	s.compact()
	others(s.idleFrom.Add(8 * time.Second))
	s.idleTo = time.Now()
}

func (s *storm) disturb() {
	s.t.Helper()
	for _, f := range s.followers {
		s.awaitTold(f, "")
	}
	s.blow()
	s.restart(syscall.SIGTERM)
	s.blow()
	s.compact()
	s.blow()
	s.records.Stop(syscall.SIGKILL)
	time.Sleep(s.calm / 2)
	s.records.Launch()
	s.blow()
	s.awaitServed()
	s.idle()
	s.blow()
	s.restart(syscall.SIGKILL)
	s.blow()
}

func TestInformersAreToldEveryChange(t *testing.T) {
	clients := map[string]func(*storm){}
	for _, version := range []string{"0.28", "0.34", "newest"} {
		for suffix, watchList := range map[string]string{"": "false", "-watch-list": "true"} {
			name := "client-go-" + version + suffix
			environment := []string{"KUBE_FEATURE_WatchListClient=" + watchList}
			if version == "0.28" && watchList == "true" {
				environment = []string{"ENABLE_CLIENT_GO_WATCH_LIST_ALPHA=true"}
			}
			clients[name] = func(s *storm) {
				s.follow(name, environment, rig.Peer(t, "informers-"+version), "typed=%s", "dynamic=%s", "metadata=%s",
					"cached=%s").bookmarks = true
			}
		}
	}
	inStorm(t, clients)
}

func TestOtherLanguagesAreToldEveryChange(t *testing.T) {
	clients := map[string]func(*storm){
		"Python":     func(s *storm) { s.follow("Python", nil, "/usr/bin/python3", "python/watch.py", "%s").bookmarks = true },
		"JavaScript": func(s *storm) { s.follow("JavaScript", nil, "node", rig.Peer(t, "js")+"/watch.mjs", "%s") },
	}
	for version, path := range kubectls(t) {
		name := "kubectl-" + version
		clients[name] = func(s *storm) {
			s.follow(name, nil, "/usr/bin/python3", "python/watch_by_kubectl.py", path, name, "%s")
		}
	}
	inStorm(t, clients)
}

func TestEveryFormOfAWatchTellsEveryChange(t *testing.T) {
	inStorm(t, map[string]func(*storm){"HTTP": (*storm).read})
}
