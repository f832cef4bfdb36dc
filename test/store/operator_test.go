package store

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"strata/test/rig"
)

func etcdctl(t *testing.T, b *rig.Backend, input string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, rig.Peer(t, "etcdctl"), append([]string{"--endpoints=" + b.URL}, args...)...)
	command.Stdin = strings.NewReader(input)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Errorf("etcdctl %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestEtcdctlWorksOnTheStore(t *testing.T) {
	b := rig.StartBackend(t, "strata-storage")
	for _, one := range []struct {
		args, input, want string
	}{
		{"put a 1", "", "OK"},
		{"get a", "", "a\n1"},
		{"get a -w json", "", `"kvs":[{"key":"YQ=="`},
		{"put b 1", "", "OK"},
		{"get --prefix --keys-only --order=DESCEND --sort-by=MODIFY \"\"", "", ""},
		{"txn", "value(\"a\") = \"1\"\n\nput c yes\n\nput c no\n\n", "SUCCESS"},
		{"get c", "", "yes"},
		{"del a", "", "1"},
		{"endpoint health", "", "is healthy"},
		{"endpoint status -w table", "", "3.6.5"},
		{"endpoint hashkv", "", ""},
		{"member list", "", "started"},
		{"lease grant 60", "", "granted with TTL(60s)"},
		{"lease list", "", "found 1 leases"},
		{"lock a echo held", "", "held"},
		{"compaction 4", "", "compacted revision 4"},
		{"defrag", "", "Finished defragmenting"},
		{"alarm list", "", ""},
		{"alarm disarm", "", ""},
		{"check perf --load=s", "", "PASS: Throughput"},
		{"get c --rev=5", "", "yes"},
	} {
		if strings.HasPrefix(one.args, "check perf") && os.Getenv("STRATA_SLOW") == "" {
			continue // it takes a minute
		}
		rig.Contains(t, etcdctl(t, b, one.input, strings.Fields(one.args)...), one.want)
	}
	watch := exec.Command(rig.Peer(t, "etcdctl"), "--endpoints="+b.URL, "watch", "c", "--rev=4")
	out, err := watch.StdoutPipe()
	if err != nil || watch.Start() != nil {
		t.Fatal(err)
	}
	defer watch.Wait()
	defer watch.Process.Kill()
	defer time.AfterFunc(rig.Patience, func() { watch.Process.Kill() }).Stop()
	told := make([]byte, len("PUT\nc\nyes\n"))
	if _, err := io.ReadFull(out, told); err != nil || string(told) != "PUT\nc\nyes\n" {
		t.Errorf("etcdctl watch: %v %q", err, told)
	}
}

// protobuf would write a line of its own, and wait where nobody reads them.
func TestAClientWritesNothingToTheStoresLog(t *testing.T) {
	b := rig.StartBackend(t, "strata-storage")
	c := b.Client(t)
	rig.Eventually(t, "the store has said that it serves", func() error {
		if !strings.Contains(b.Output(), "Serving the etcd v3 API") {
			return fmt.Errorf("%s", b.Output())
		}
		return nil
	})
	before := b.Output()
	for range 10 {
		if _, err := c.Authenticate(context.Background(), "no \xff UTF-8", "\xfe"); err == nil {
			t.Error("the store has no users")
		}
	}
	if _, err := c.Put(context.Background(), "k", "\xff"); err != nil {
		t.Fatal(err)
	}
	if said := strings.TrimPrefix(b.Output(), before); said != "" {
		t.Errorf("the store said: %s", said)
	}
}

// What a dashboard, a probe and an operator see.
func TestHealthAndMetricsTellOfTheStore(t *testing.T) {
	b := rig.StartBackend(t, "strata-storage")
	b.Stop(15)
	monitoring := fmt.Sprintf("http://127.0.0.1:%d", rig.FreePort(t))
	full := rig.Start(t, rig.Strata(t, "strata-storage"), "serve", "--data-dir="+b.Dir, "--listen-client-urls="+b.URL,
		"--listen-metrics-urls="+monitoring, "--quota-backend-bytes=200000", "--auto-compaction-mode=revision",
		"--auto-compaction-retention=1000")
	defer full.Stop(9)
	c := b.Client(t)
	get := func(path string) (int, string) {
		response, err := http.Get(monitoring + path)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		return response.StatusCode, string(body)
	}
	rig.Eventually(t, "it answers", func() error { _, err := http.Get(monitoring + "/livez"); return err })
	expect := func(path string, code int, parts ...string) {
		t.Helper()
		got, body := get(path)
		if got != code {
			t.Errorf("%s: %d, want %d: %s", path, got, code, body)
		}
		rig.Contains(t, body, parts...)
	}
	expect("/health", 200, `{"health":"true","reason":""}`)
	expect("/readyz?verbose", 200, "[+]data_corruption ok", "[+]serializable_read ok", "ok")
	expect("/version", 200, `"etcdserver":"3.6.5"`)
	expect("/nothing", 404)
	// As at an etcd, also where clients connect.
	for path, part := range map[string]string{"/health": `"health":"true"`, "/version": `"etcdserver":"3.6.5"`, "/metrics": "etcd_server_has_leader 1"} {
		response, err := http.Get(b.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		rig.Contains(t, string(body), part)
	}
	for i := range 1000 {
		if _, err := c.Put(context.Background(), fmt.Sprint("k", i), strings.Repeat("v", 1000)); err != nil {
			rig.Contains(t, err.Error(), "database space exceeded")
			break
		}
	}
	rig.Eventually(t, "the alarm is on", func() error {
		if code, body := get("/health"); code != 503 || !strings.Contains(body, "ALARM NOSPACE") {
			return fmt.Errorf("%d %s", code, body)
		}
		return nil
	})
	expect("/livez", 200, "ok")
	expect("/metrics", 200, "etcd_mvcc_db_total_size_in_bytes ", "etcd_mvcc_db_total_size_in_use_in_bytes ",
		"etcd_server_quota_backend_bytes 200000", `strata_store_alarm{alarm="NOSPACE"} 1`, "etcd_server_has_leader 1",
		"etcd_disk_backend_commit_duration_seconds_bucket", "etcd_disk_wal_fsync_duration_seconds_bucket",
		`grpc_server_handled_total{grpc_code="ResourceExhausted",grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"} 1`,
		`grpc_server_started_total{grpc_method="Watch",grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream"} 0`,
		`grpc_server_handling_seconds_bucket{grpc_method="Put"`, "process_resident_memory_bytes",
		"etcd_debugging_mvcc_current_revision ")
	rig.Contains(t, etcdctl(t, b, "", "alarm", "list"), "alarm:NOSPACE")
	etcdctl(t, b, "", "del", "--prefix", "k")
	etcdctl(t, b, "", "compaction", "--physical", strings.TrimSpace(fmt.Sprint(revision(t, c))))
	etcdctl(t, b, "", "alarm", "disarm")
	rig.Contains(t, etcdctl(t, b, "", "put", "again", "1"), "OK")
	expect("/health", 200)
	response, err := http.Post(monitoring+"/health", "text/plain", strings.NewReader("x"))
	if err != nil || response.StatusCode != 405 {
		t.Errorf("POST: %v %v", err, response)
	}
}

func revision(t *testing.T, c *clientv3.Client) int64 {
	r, err := c.Get(context.Background(), "/")
	if err != nil {
		t.Fatal(err)
	}
	return r.Header.Revision
}

// Answers in memory come to --max-response-bytes-inflight and no further: what is larger by itself is refused, and
// counted, and what isn't is answered. By the default both are.
func TestAnswersAreRefusedWhereTheFlagSays(t *testing.T) {
	for _, o := range []struct {
		flags  []string
		refuse string
		count  int
	}{
		{[]string{"--max-response-bytes-inflight=4194304"}, "trying to send message larger than max (4301327 vs. 4194304)", 1},
		{nil, "", 0},
	} {
		b := rig.StartBackend(t, "strata-storage", o.flags...)
		c := b.Client(t)
		for i := range 40 {
			rig.Put(t, c, fmt.Sprintf("k%02d", i), strings.Repeat("v", 200<<10))
		}
		_, err := c.Get(t.Context(), "k", clientv3.WithPrefix())
		if (err == nil) != (o.refuse == "") || err != nil && !strings.Contains(err.Error(), o.refuse) {
			t.Errorf("%v: all: %v", o.flags, err)
		}
		// The call is over a moment after its client has been told.
		rig.Eventually(t, "nothing is held", func() error {
			response, err := http.Get(b.URL + "/metrics")
			if err != nil {
				return err
			}
			defer response.Body.Close()
			text, err := io.ReadAll(response.Body)
			if err != nil {
				return err
			}
			for _, line := range []string{"strata_store_answer_bytes 0", fmt.Sprint("strata_store_answers_refused_total ", o.count)} {
				if !strings.Contains(string(text), "\n"+line+"\n") {
					return fmt.Errorf("not %s", line)
				}
			}
			return nil
		})
		if r, err := c.Get(t.Context(), "k", clientv3.WithPrefix(), clientv3.WithLimit(5)); err != nil || len(r.Kvs) != 5 {
			t.Errorf("%v: five: %v", o.flags, err)
		}
	}
}
