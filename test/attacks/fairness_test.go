package attacks

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"strata/test/rig"
)

// watchIn is an ordinary watch of demo's streams: what it is told of, by name, until it ends.
func (s *server) watchIn(t *testing.T, token string) <-chan string {
	t.Helper()
	client := s.client()
	client.Timeout = 0
	return s.watchBy(t, client, http.Header{"Authorization": {"Bearer " + token}})
}

// watchBy is the same with a client and headers that say who asks.
func (s *server) watchBy(t *testing.T, client *http.Client, who http.Header) <-chan string {
	t.Helper()
	request, err := http.NewRequest("GET", s.url+streamsInDemo+"?watch=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = who
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != 200 {
		t.Fatalf("a watch: %s", response.Status)
	}
	t.Cleanup(func() { response.Body.Close() })
	names := make(chan string, 10_000)
	go func() {
		defer close(names)
		events := json.NewDecoder(bufio.NewReader(response.Body))
		for {
			var event struct {
				Object struct{ Metadata struct{ Name string } }
			}
			if events.Decode(&event) != nil {
				return
			}
			names <- event.Object.Metadata.Name
		}
	}()
	return names
}

// awaitName waits until a watch tells of an object.
func awaitName(t *testing.T, names <-chan string, name string) {
	t.Helper()
	patience := time.After(rig.Patience)
	for {
		select {
		case told, goesOn := <-names:
			if !goesOn {
				t.Fatalf("the watch ended before it told of %s", name)
			}
			if told == name {
				return
			}
		case <-patience:
			t.Fatalf("the watch didn't tell of %s", name)
		}
	}
}

// A watch is neither idle nor slow, so nobody who has one on each of many connections is made to give way.
func TestOneUserLeavesConnectionsForOthers(t *testing.T) {
	const limit = 40
	s := start(t, fmt.Sprint("--max-connections=", limit))
	s.admin.CloseIdleConnections()
	refused := 0
	for range 2 * limit {
		c := s.connect(t)
		c.listen()
		watch := c.ask(streamsInDemo+"?watch=true", greedyToken)
		c.flush()
		status := c.statusOf(watch)
		if status != "200" && status != "429" {
			t.Fatalf("a watch: %q", status)
		}
		if status == "429" {
			if refused++; refused == 1 {
				c.awaitEnd()
			}
			c.connection.Close()
		}
	}
	if refused < limit {
		t.Errorf("%d watches on a connection each, of %d connections that there may be", 2*limit-refused, limit)
	}
	for range limit {
		for path, token := range map[string]string{"/readyz": "", rig.LayersPath("demo", "app"): modestToken} {
			client := s.client()
			code, text := s.get(client, path, token)
			client.CloseIdleConnections()
			if code != 200 {
				t.Fatalf("somebody else's %s: %d %s", path, code, text)
			}
		}
	}
}

// Somebody has many watches whose events he takes a byte at a time. What was made for them is bounded, and the others'
// watches go on.
func TestWatchesThatAreNotReadTakeNoRoomFromOthers(t *testing.T) {
	const bound = 8 << 20
	s := start(t, fmt.Sprintf("--watch-buffer-bytes=%d", bound), "--read-stall-timeout=30s")
	s.attend(t, 128<<20)
	names := s.watchIn(t, modestToken)
	greedy := s.connect(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
	greedy.listen()
	path := streamsInDemo + "?watch=true&resourceVersion=" + s.revision(t)
	for i := 0; i < 100; i++ {
		greedy.ask(path, greedyToken)
	}
	greedy.flush()
	greedy.await("100 watches", func() bool { return len(greedy.status) == 100 })
	held := 0.0
	for i := 0; i < 20; i++ {
		name := fmt.Sprintf("large-%02d", i)
		images := make([]string, 3000) // 300 KB as JSON
		for n := range images {
			images[n] = rig.Digest(n)
		}
		rig.Put(t, s.etcd, rig.StreamKey("demo", name), rig.StreamValue(t, "demo", name, images...))
		awaitName(t, names, name)
		held = max(held, s.metric(t, "strata_watch_buffer_bytes"))
	}
	if held > bound || held < bound/2 {
		t.Errorf("%.0f bytes were held for watches, of %d that may be", held, bound)
	}
}

// Watches last as long as their clients like, so one user may not have all of them.
func TestOneUserLeavesWatchesForOthers(t *testing.T) {
	const most = 40
	s := start(t, fmt.Sprintf("--max-watches=%d", most))
	s.attend(t, 32<<20)
	greedy := s.connect(t)
	greedy.listen()
	var ids []uint32
	for i := 0; i < 2*most; i++ {
		ids = append(ids, greedy.ask(streamsInDemo+"?watch=true", greedyToken))
	}
	greedy.flush()
	seen := map[string]int{}
	for _, id := range ids {
		seen[greedy.statusOf(id)]++
	}
	if seen["200"] != most*3/4 || seen["429"] != 2*most-most*3/4 {
		t.Errorf("of %d watches of one user: %v", 2*most, seen)
	}
	if n := s.metric(t, "apiserver_longrunning_requests"); n != most*3/4 {
		t.Errorf("%v watches are counted", n)
	}
	if n := s.metric(t, `apiserver_request_terminations_total{code="429",component="apiserver",group="image.openshift.io",resource="imagestreams",scope="namespace",subresource="",verb="WATCH",version="v1"}`); n != float64(seen["429"]) {
		t.Errorf("%v are counted as refused", n)
	}
	// Another one finds room, and who keeps the cluster running always does.
	names := s.watchIn(t, modestToken)
	for i := 0; i < most; i++ {
		s.watchIn(t, adminToken)
	}
	s.putStream(t, "demo", "told", 1)
	awaitName(t, names, "told")
	response := s.refused(t, streamsInDemo+"?watch=true", greedyToken)
	if response.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	// What ends is there again.
	greedy.connection.Close()
	s.awaitMetric(t, "apiserver_longrunning_requests", func(n float64) bool { return n == most+1 })
}

// refused is the answer to a request that is one too many.
func (s *server) refused(t *testing.T, path, token string) *http.Response {
	t.Helper()
	request, err := http.NewRequest("GET", s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := s.client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusTooManyRequests {
		t.Fatalf("%s: %s", path, response.Status)
	}
	return response
}

// Somebody asks for answers and never reads them, and asks again as soon as one is given up. Others get theirs.
func TestAnswersThatAreNotReadTakeNoRoomFromOthers(t *testing.T) {
	const bound = 8 << 20
	s := start(t, fmt.Sprintf("--max-unread-response-bytes=%d", bound), "--response-cache-bytes=0")
	images := make([]int, 40)
	for i := range images {
		images[i] = 100 + i
	}
	s.putStream(t, "demo", "medium", images...)
	path := rig.LayersPath("demo", "medium")
	modest := s.client()
	_, want := s.get(modest, path, modestToken)
	if len(want) < 5<<10 || len(want) > 60<<10 {
		t.Fatalf("an answer of %d bytes shows nothing", len(want))
	}
	s.attend(t, 64<<20)
	greedy := s.connect(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	greedy.listen()
	answered := func(status string) int {
		n := 0
		for _, got := range greedy.status {
			if strings.HasPrefix(got, status) {
				n++
			}
		}
		return n
	}
	asked := 0
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
		// As many as there may be at a time, answered or not, and never so many resets that the connection ends for that.
		greedy.mu.Lock()
		resets := answered("reset")
		greedy.mu.Unlock()
		for open := asked - resets; open < 900 && resets < 500; open++ {
			greedy.ask(path, greedyToken)
			asked++
		}
		if !greedy.flush() {
			t.Fatalf("the greedy one's connection ends: %s", greedy.awaitEnd())
		}
		if code, body := s.get(modest, path, modestToken); code != 200 || body != want {
			t.Fatalf("somebody else: %d %.300s", code, body)
		}
		if held := s.metric(t, "strata_http_unread_response_bytes"); held > bound+1<<20 {
			t.Fatalf("%.0f bytes that nobody reads", held)
		}
	}
	s.awaitMetric(t, "strata_http_responses_without_room_total", func(refused float64) bool { return refused > 0 })
}

// asks makes a request over and over, until it may no more, and counts the answers.
func (s *server) asks(ctx context.Context, t *testing.T, client *http.Client, path, token, accept string, answered *atomic.Int64) {
	for {
		request, err := http.NewRequestWithContext(ctx, "GET", s.url+path, nil)
		if err != nil {
			t.Error(err)
			return
		}
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set("Accept", accept)
		response, err := client.Do(request)
		if err != nil {
			return // the end
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if ctx.Err() == nil && response.StatusCode != 200 {
			t.Errorf("%s: %s", path, response.Status)
			return
		}
		answered.Add(1)
	}
}

// Somebody always has so many YAML documents to be made, each another one, that they would take all builders for long.
// Somebody else's are made in between: he waits for what is being made, and not for what the greedy one has waiting.
func TestOneUserLeavesBuildersForOthers(t *testing.T) {
	const (
		yaml    = "application/yaml"
		waiting = 100
		images  = 200
		bound   = 15 * time.Second
	)
	// Nothing is kept, and no estimate of bytes keeps the queue short.
	s := start(t, "--response-cache-bytes=0", "--worker-queue-bytes=1000000000000")
	s.putImages(t, images, 20)
	s.putMany(t, waiting+1, 90*(images-1))
	own := rig.LayersPath("demo", many(waiting))
	rig.Eventually(t, "all is there", func() error {
		_, body := s.get(s.admin, own, adminToken)
		if !strings.Contains(body, rig.Digest(1_000_000+20*images-1)) {
			return fmt.Errorf("%.200s", body)
		}
		return nil
	})
	s.attend(t, 128<<20)

	var all sync.WaitGroup
	var made atomic.Int64
	ctx, leave := context.WithCancel(t.Context())
	defer func() { leave(); all.Wait() }()
	greedy, modest := s.client(), s.client()
	greedy.Timeout = 0
	for i := 0; i < waiting; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			s.asks(ctx, t, greedy, rig.LayersPath("demo", many(i)), greedyToken, yaml, &made)
		}()
	}
	s.awaitMetric(t, `strata_worker_queue_length{pool="build"}`, func(n float64) bool { return n > waiting*3/4 })
	for i := 0; i < 6; i++ {
		path := []string{rig.LayersPath("demo", "app"), own}[i%2]
		before, begun := made.Load(), time.Now()
		code, body := s.getAs(modest, path, modestToken, yaml)
		took, between := time.Since(begun), made.Load()-before
		t.Logf("%s: %v, and %d of the greedy one's meanwhile", path, took.Round(time.Millisecond), between)
		if code != 200 {
			t.Fatalf("%s: %d %.200s", path, code, body)
		}
		if took > bound || between > waiting/2 {
			t.Errorf("%s took %v, and %d others were answered before", path, took, between)
		}
	}
}

// The aggregator sends everybody's requests over one connection, and each client that leaves is a reset there
// (kubernetes/kubernetes#133644). One who leaves all the time ends nobody else's watch.
func TestUsersWhoLeaveTheFrontProxyLeaveOthersTheirConnection(t *testing.T) {
	s, pair := startBehindProxy(t)
	aggregator := s.proxy(pair)
	aggregator.Timeout = 0
	names := s.watchBy(t, aggregator, http.Header{"X-Remote-User": {"alice"}, "X-Remote-Group": {"system:masters"}})
	leave := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, "GET", s.url+streamsInDemo+"?watch=true", nil)
		if err != nil {
			return err
		}
		request.Header = http.Header{"X-Remote-User": {"mallory"}, "X-Remote-Group": {"devs"}}
		response, err := aggregator.Do(request)
		if err != nil {
			return err
		}
		if response.StatusCode != 200 {
			return fmt.Errorf("a watch: %s", response.Status)
		}
		return response.Body.Close() // which resets the stream
	}
	for left := 0; left < 2_000; left++ {
		if err := leave(); err != nil {
			t.Fatalf("after %d: %v", left, err)
		}
	}
	s.putStream(t, "demo", "told", 1)
	awaitName(t, names, "told")
	if n := s.closes(t, "reset_flood"); n != 0 {
		t.Errorf("%v connections were closed", n)
	}
}
