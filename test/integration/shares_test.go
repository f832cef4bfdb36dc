package integration

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"strata/test/rig"
)

const (
	greedyToken = "greedytoken"
	modestToken = "modesttoken"
)

// startShared is a server with two users who may both read layers in demo, and no rights beyond that.
func startShared(t *testing.T, flags ...string) *server {
	t.Helper()
	id := newIdentity(t)
	id.write(t, "tokens.csv", []byte(adminToken+",admin,1,system:masters\n"+greedyToken+",greedy,2,devs\n"+modestToken+",modest,3,devs\n"))
	id.write(t, "rbac.yaml", []byte(`apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: pullers, namespace: demo}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'system:image-puller'}
subjects: [{kind: Group, name: devs}]
`))
	return startServerAs(t, id, append(flags, "--rbac-file="+id.path("rbac.yaml"))...)
}

// metric is the value of one series, as /metrics prints it.
func (s *server) metric(t *testing.T, series string) float64 {
	t.Helper()
	code, text := s.get("/metrics", adminToken)
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(text)
	if code != 200 || found == nil {
		t.Fatalf("%s isn't in /metrics (%d)", series, code)
	}
	value, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// putLargeStream writes a stream of so many images with so many layers each.
func putLargeStream(t *testing.T, b *rig.Backend, name string, images, layers int) {
	t.Helper()
	c := b.Client(t)
	var values, names []string
	for i := 1; i <= images; i++ {
		var digests []string
		for l := 0; l < layers; l++ {
			digests = append(digests, rig.Digest(1_000_000+i*layers+l))
		}
		names = append(names, rig.Digest(i))
		values = append(values, rig.ImageKey(rig.Digest(i)), rig.ImageValue(t, rig.Digest(i), digests...))
		if len(values) == 200 || i == images {
			putAll(t, c, values...)
			values = nil
		}
	}
	rig.Put(t, c, rig.StreamKey("demo", name), rig.StreamValue(t, "demo", name, names...))
}

// What can't be answered is found out once, by a worker, and not by each request on the thread of its connection.
func TestThatAStreamIsTooLargeIsFoundOutOnce(t *testing.T) {
	b := rig.StartBackend(t, "strata-storage")
	putLargeStream(t, b, "huge", 400, 20)
	s := startShared(t, "--etcd-servers="+b.URL, "--max-entries-per-answer=5000")
	ask := func(name, token string) (int, string) { return s.get(rig.LayersPath("demo", name), token) }
	const want = "the stream reaches more than 5000 images and layers"
	if code, body := ask("huge", greedyToken); code != 500 || !strings.Contains(body, want) {
		t.Fatalf("%d %s", code, body)
	}
	const builds = `strata_worker_tasks_total{pool="build",result="accepted"}`
	built, missed := s.metric(t, builds), s.metric(t, "strata_response_cache_misses_total")
	var all sync.WaitGroup
	for i := 0; i < 50; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			if code, body := ask("huge", greedyToken); code != 500 || !strings.Contains(body, want) {
				t.Errorf("%d %s", code, body)
			}
		}()
	}
	all.Wait()
	if now := s.metric(t, builds); now != built || built != 1 {
		t.Errorf("%v builds, and then %v", built, now)
	}
	if now := s.metric(t, "strata_response_cache_misses_total"); now != missed {
		t.Errorf("%v walks, and then %v", missed, now)
	}
	// Until something that it reaches changes.
	rig.Put(t, b.Client(t), rig.StreamKey("demo", "huge"), rig.StreamValue(t, "demo", "huge", rig.Digest(1)))
	if code, body := ask("huge", greedyToken); code != 200 {
		t.Errorf("%d %s", code, body)
	}
}

// Equal answers are made once, however many ask, and what nobody waits for any more isn't made: neither what waits for
// a worker nor what one works on.
func TestBuildsEndWithThoseWhoWait(t *testing.T) {
	b := rig.StartBackend(t, "strata-storage")
	putLargeStream(t, b, "huge", 1500, 30)
	// Nothing is kept: whoever comes later makes it anew.
	s := startShared(t, "--etcd-servers="+b.URL, "--response-cache-bytes=0", "--worker-threads=1")
	ctx, leave := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i := 0; i < 60; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			request, _ := http.NewRequestWithContext(ctx, "GET", s.url+rig.LayersPath("demo", "huge"), nil)
			request.Header.Set("Authorization", "Bearer "+greedyToken)
			request.Header.Set("Accept", "application/yaml")
			if i%2 == 1 {
				request.Header.Set("Accept", "application/json")
			}
			if response, err := s.http.Do(request); err == nil {
				response.Body.Close()
			}
		}()
	}
	rig.Eventually(t, "somebody waits", func() error {
		if s.metric(t, "strata_builds_joined_total") == 0 {
			return fmt.Errorf("nobody")
		}
		return nil
	})
	leave()
	all.Wait()
	rig.Eventually(t, "nothing is made", func() error {
		if n := s.metric(t, "strata_builds"); n != 0 {
			return fmt.Errorf("%v", n)
		}
		return nil
	})
	taken := s.metric(t, `strata_worker_tasks_total{pool="build",result="accepted"}`)
	if taken > 30 {
		t.Errorf("%v builds for 60 requests", taken)
	}
	// A time that is over ends it too.
	code, header, body := s.answer(rig.LayersPath("demo", "huge")+"?timeout=1ms", modestToken, "application/yaml")
	if after := header.Get("Retry-After"); code != 504 || after != "" {
		t.Errorf("%d, Retry-After %q, %.200s", code, after, body)
	}
}

// Who waits for a revision that doesn't come takes no place from the others, however many requests he has: three quarters
// are his. One thread has them all, since what two take at the same time may be a place more; one that is being refused is
// counted until it is.
func TestOneUserTakesNotAllPlaces(t *testing.T) {
	b := rig.StartBackend(t, "strata-storage")
	putLargeStream(t, b, "app", 2, 2)
	s := startShared(t, "--etcd-servers="+b.URL, "--max-requests-inflight=20", "--max-revision-waiters=40", "--io-threads=1")
	const share = 30
	path := rig.LayersPath("demo", "app")
	ctx, leave := context.WithTimeout(context.Background(), rig.Patience)
	defer leave()
	codes := make(chan int, 200)
	for i := 0; i < 200; i++ {
		go func() {
			request, _ := http.NewRequestWithContext(ctx, "GET", s.url+path+"?resourceVersion=999999999", nil)
			request.Header.Set("Authorization", "Bearer "+greedyToken)
			response, err := s.http.Do(request)
			if err != nil {
				codes <- 0
				return
			}
			response.Body.Close()
			codes <- response.StatusCode
		}()
	}
	waiting := func() float64 {
		n := s.metric(t, "strata_revision_waiters")
		if n > share+1 {
			t.Errorf("%v wait", n)
		}
		return n
	}
	rig.Eventually(t, "the greedy one has his share", func() error {
		if n := waiting(); n < share {
			return fmt.Errorf("%v wait", n)
		}
		return nil
	})
	for i := 0; i < 20; i++ {
		waiting()
		if code, body := s.get(path, modestToken); code != 200 {
			t.Fatalf("%d %s", code, body)
		}
	}
	if code, _ := s.get("/readyz", ""); code != 200 {
		t.Errorf("/readyz: %d", code)
	}
	seen := map[int]int{}
	for i := 0; i < 200; i++ {
		select {
		case code := <-codes:
			seen[code]++
		case <-time.After(rig.Patience):
			t.Fatal("not answered")
		}
	}
	// Those who waited are told that it didn't come, the rest that they are too many.
	if seen[504] < share || seen[429] == 0 || seen[504]+seen[429] != 200 {
		t.Errorf("%v", seen)
	}
}
