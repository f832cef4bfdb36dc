package integration

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"strata/test/rig"
)

// awaitWatches waits until so many are open, of whatever.
func (s *server) awaitWatches(t *testing.T, want int) {
	t.Helper()
	series := regexp.MustCompile(`(?m)^strata_watches(?:\{.*\})? (\d+)$`)
	rig.Eventually(t, "all watch", func() error {
		_, text := s.get("/metrics", adminToken)
		open := 0
		for _, found := range series.FindAllStringSubmatch(text, -1) {
			n, _ := strconv.Atoi(found[1])
			open += n
		}
		if open != want {
			return fmt.Errorf("%d watches", open)
		}
		return nil
	})
}

// ranges is how often etcd has been asked for keys.
func ranges(t *testing.T, b *rig.Backend) int {
	t.Helper()
	response, err := http.Get(b.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, found := range regexp.MustCompile(`(?m)^grpc_server_started_total\{.*grpc_method="Range".*\} (\d+)$`).FindAllStringSubmatch(string(text), -1) {
		n, _ := strconv.Atoi(found[1])
		sum += n
	}
	return sum
}

// follow lists and watches until the context ends, as informers do, and counts what it is told of a stream.
func (s *server) follow(ctx context.Context, told *atomic.Int64) {
	for ctx.Err() == nil {
		if err := s.followOnce(ctx, told); err != nil {
			time.Sleep(50 * time.Millisecond)
		}
	}
}

func (s *server) followOnce(ctx context.Context, told *atomic.Int64) error {
	const streams = "/apis/image.openshift.io/v1/namespaces/demo/imagestreams"
	code, body := s.get(streams, adminToken)
	if code != 200 {
		return fmt.Errorf("%d", code)
	}
	at := strings.Index(body, `"resourceVersion":"`) + len(`"resourceVersion":"`)
	request, err := http.NewRequestWithContext(ctx, "GET",
		s.url+streams+"?watch=true&resourceVersion="+body[at:at+strings.IndexByte(body[at:], '"')], nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+adminToken)
	response, err := (&http.Client{Transport: s.http.Transport}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if strings.Contains(lines.Text(), `"name":"after-`) {
			told.Add(1)
		}
	}
	return lines.Err()
}

// A server that is killed over and over under hundreds of watchers: it is back soon, they come back to it, and etcd isn't
// asked for anything by each of them.
func TestAServerThatIsKilledUnderItsWatchersIsBackSoon(t *testing.T) {
	const watchers = 300
	b := rig.StartBackend(t, "etcd-3.6")
	putLargeStream(t, b, "app", 100, 5)
	s := startServer(t, "--etcd-servers="+b.URL)
	ctx, leave := context.WithCancel(context.Background())
	var all sync.WaitGroup
	defer all.Wait()
	defer leave()
	told := make([]atomic.Int64, watchers)
	for i := range told {
		all.Add(1)
		go func() { defer all.Done(); s.follow(ctx, &told[i]) }()
	}
	var slowest time.Duration
	most := 0
	for n := range rig.Times("STRATA_KILLS", 3) {
		s.awaitWatches(t, watchers)
		for i := range told {
			told[i].Store(0)
		}
		before := ranges(t, b)
		s.Stop(syscall.SIGKILL)
		killed := time.Now()
		s.Launch()
		s.awaitReady(t)
		s.layers(t, "demo", "app")
		slowest = max(slowest, time.Since(killed))
		s.awaitWatches(t, watchers)
		most = max(most, ranges(t, b)-before)
		name := fmt.Sprint("after-", n)
		rig.Put(t, b.Client(t), rig.StreamKey("demo", name), rig.StreamValue(t, "demo", name, rig.Digest(1)))
		rig.Eventually(t, "all are told", func() error {
			for i := range told {
				if told[i].Load() != 1 {
					return fmt.Errorf("watcher %d was told %d times", i, told[i].Load())
				}
			}
			return nil
		})
	}
	if most > watchers/2 {
		t.Errorf("etcd was asked %d times", most)
	}
	t.Logf("right %v after a kill, at most; etcd was asked %d times for what %d watchers came back to", slowest, most, watchers)
}
