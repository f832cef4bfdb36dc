package attacks

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"strata/test/rig"
)

// startBounded is a server with 300 more streams in demo, 20 images in each, and with flags of a row.
func startBounded(t *testing.T, flags string) *server {
	t.Helper()
	s := start(t, append(strings.Fields(flags), "--freshness-read-timeout=60s", "--response-cache-bytes=0")...)
	s.putMany(t, 300, 2000)
	s.awaitMetric(t, "strata_replica_records", func(records float64) bool { return records > 300 })
	return s
}

// A crowd comes while the etcd is frozen, so that none of it is answered before all of it is there.
type crowd struct {
	requests int
	each     int // that come at once
	path     func(i int) string
	accept   string
	heads    bool // of 45 KB
}

// comes is how many of a crowd are served in the end and how many refused, and the most that a series came to.
func (s *server) comes(t *testing.T, crowd crowd, refusal, series string) (served, refused int, most float64) {
	t.Helper()
	fields := []string{"accept", crowd.accept}
	for i := 0; crowd.heads && i < 15; i++ {
		fields = append(fields, "large", strings.Repeat("x", 3000))
	}
	s.backend.Signal(syscall.SIGSTOP)
	defer s.backend.Signal(syscall.SIGCONT)
	c := s.connect(t)
	defer c.connection.Close()
	// Each step has a patience of its own.
	if err := c.connection.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	c.listen()
	var ids []uint32
	for len(ids) < crowd.requests {
		for range crowd.each {
			ids = append(ids, c.ask(crowd.path(len(ids)), greedyToken, fields...))
		}
		c.flush()
		rig.Eventually(t, "who came waits, or is refused", func() error {
			waiting := s.metric(t, "strata_freshness_waiters")
			c.mu.Lock()
			defer c.mu.Unlock()
			if int(waiting)+len(c.status) != len(ids) {
				return fmt.Errorf("%v of %d wait, and %v", waiting, len(ids), c.status)
			}
			return nil
		})
	}
	most = s.metric(t, series)
	s.backend.Signal(syscall.SIGCONT)
	for _, id := range ids {
		switch status := c.statusOf(id); status {
		case "200":
			served++
		case refusal:
			refused++
		default:
			t.Errorf("an answer: %s", status)
		}
	}
	return served, refused, max(most, s.metric(t, series))
}

// Where a flag sets a bound low, a crowd comes to it: the rest is refused as docs/operations.md says, and counted. By
// the default the same crowd is served.
func TestACrowdIsRefusedWhereAFlagSaysAndNoSooner(t *testing.T) {
	const (
		tooMany = "429"
		none    = "reset REFUSED_STREAM"
		some    = 0
	)
	one := func(int) string { return rig.LayersPath("demo", "app") }
	each := func(i int) string { return rig.LayersPath("demo", many(i)) }
	few := crowd{10, 1, one, "application/json", false}
	large := crowd{10, 1, one, "application/json", true}
	builds := crowd{100, 100, each, "application/yaml", false}
	counted := func(most float64, refused int) bool { return most == float64(refused) }
	rejected := func(pool string) string {
		return `strata_worker_tasks_total{pool="` + pool + `",result="rejected"}`
	}
	usual := startBounded(t, "")
	for _, bound := range []struct {
		flags   string
		crowd   crowd
		served  int // of it
		refusal string
		series  string
		moves   func(most float64, refused int) bool
	}{
		{"--http2-max-streams-per-connection=5", few, 5, none, "apiserver_current_inflight_requests",
			func(most float64, _ int) bool { return most >= 5 && most < 10 }},
		{"--max-freshness-waiters=5", few, 5, tooMany, "strata_freshness_waiters",
			func(most float64, _ int) bool { return most == 5 }},
		{"--max-held-bytes-per-connection=100000", large, 3, none, "strata_http_held_request_bytes",
			func(most float64, _ int) bool { return most > 100_000 && most < 200_000 }},
		{"--max-held-request-bytes=1048576", crowd{40, 4, one, "application/json", true}, some, none,
			"strata_http_requests_without_room_total", counted},
		{"--worker-threads=1 --worker-queue=1", builds, some, tooMany, rejected("build"), counted},
		{"--worker-threads=1 --worker-queue-bytes=1", builds, some, tooMany, rejected("build"), counted},
		{"--list-threads=1 --list-queue=1", crowd{200, 200, func(int) string { return streamsInDemo + "?limit=10" }, "application/json", false},
			some, tooMany, rejected("list"), counted},
		{"--read-threads=1 --read-queue=1", crowd{300, 300, func(i int) string { return streamsInDemo + "/" + many(i) },
			"application/json", false}, some, tooMany, rejected("read"), counted},
	} {
		t.Run(bound.flags, func(t *testing.T) {
			s := startBounded(t, bound.flags)
			served, refused, most := s.comes(t, bound.crowd, bound.refusal, bound.series)
			t.Logf("%d served, %d refused; %s %v", served, refused, bound.series, most)
			if served == 0 || refused == 0 || bound.served != some && served != bound.served {
				t.Errorf("of %d %d are served and %d refused", bound.crowd.requests, served, refused)
			}
			if !bound.moves(most, refused) {
				t.Errorf("%s comes to %v where %d are refused", bound.series, most, refused)
			}
			if served, _, _ := usual.comes(t, bound.crowd, bound.refusal, bound.series); served != bound.crowd.requests {
				t.Errorf("by the default %d of %d are served", served, bound.crowd.requests)
			}
		})
	}
}

// What lists make before their heads is held where there is room by the flag; elsewhere they are made twice.
func TestListsAreMadeAheadWhereAFlagGivesRoom(t *testing.T) {
	for _, flags := range []string{"--list-buffer-bytes=0", ""} {
		s := startBounded(t, flags)
		c := s.connect(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		c.listen()
		id := c.ask(streamsInDemo, greedyToken, "accept", "application/vnd.kubernetes.protobuf")
		c.flush()
		if status := c.statusOf(id); status != "200" {
			t.Errorf("%s: %s", flags, status)
		}
		if held := s.metric(t, "strata_list_buffer_bytes"); (held == 0) != (flags != "") {
			t.Errorf("%s: %v bytes are held", flags, held)
		}
	}
}

// A client that takes 100 KB a second is slower than one flag says, and not than the default.
func TestWhoReadsSlowerThanAFlagSaysIsGivenUp(t *testing.T) {
	type reader struct {
		*server
		*h2
		id uint32
	}
	var readers []reader
	for _, flags := range []string{"--min-read-rate=1000000", ""} {
		s := startBounded(t, flags+" --read-stall-timeout=5s")
		c := s.connect(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10_000})
		c.listen()
		readers = append(readers, reader{s, c, c.ask(streamsInDemo, greedyToken)})
	}
	slow, usual := readers[0], readers[1]
	rig.Eventually(t, "the slow one is given up", func() error {
		for _, r := range readers {
			r.raw(http2.FrameWindowUpdate, 0, 0, u32(10_000))
			r.raw(http2.FrameWindowUpdate, 0, r.id, u32(10_000))
			r.flush()
		}
		time.Sleep(80 * time.Millisecond)
		if status := slow.statusOf(slow.id); status != "reset CANCEL" {
			return fmt.Errorf("%s", status)
		}
		return nil
	})
	if status := usual.statusOf(usual.id); status != "200" {
		t.Errorf("by the default: %s", status)
	}
	for i, given := range []float64{1, 0} {
		if n := readers[i].metric(t, "strata_http_slow_readers_total"); n != given {
			t.Errorf("%v are counted as given up, and not %v", n, given)
		}
	}
}
