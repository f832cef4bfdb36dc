package integration

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"strata/test/rig"
)

// startBounded is a server with flags of a row beside others; its roles are of files.
func startBounded(t *testing.T, id *identity, bound string, flags ...string) *server {
	t.Helper()
	return startServerAs(t, id, append(append(flags, strings.Fields(bound)...), "--authentication-skip-lookup",
		"--authorization-mode=RBAC", "--rbac-file="+id.path("rbac.yaml"))...)
}

// What kube-apiserver said of tokens is kept for as many as the flag says; of another one it is asked again.
func TestAsManyReviewsAreKeptAsTheFlagSays(t *testing.T) {
	b, id, kube, _ := besideHostileKube(t)
	tell := http.HandlerFunc(judgeOfReviews)
	kube.answer.Store(&tell)
	for _, o := range []struct {
		bound string
		kept  float64
		again int32
	}{{"--review-cache-size=4", 4, 1}, {"", 10, 0}} {
		t.Run(o.bound, func(t *testing.T) {
			s := startBounded(t, id, o.bound, "--etcd-servers="+b.URL, "--kubeconfig="+id.path("kubeconfig"),
				"--authentication-token-webhook-cache-ttl=10m")
			ask := func(i int) {
				if code, body := s.get(rig.LayersPath("demo", "app"), fmt.Sprint("good-", i)); code != 403 {
					t.Fatalf("%d %s", code, body)
				}
			}
			for i := range 10 {
				ask(i)
			}
			if kept := s.metric(t, `strata_review_cache_entries{cache="token_review"}`); kept != o.kept {
				t.Errorf("%v are kept", kept)
			}
			asked := kube.reviews.Load()
			ask(0)
			if again := kube.reviews.Load() - asked; again != o.again {
				t.Errorf("it was asked again %d times", again)
			}
		})
	}
}

// comeAtOnce makes requests beside each other, and counts those that are refused so: 429 says when to come again.
func (s *server) comeAtOnce(t *testing.T, requests int, path, token func(i int) string, refusal int) (refused *atomic.Int64) {
	t.Helper()
	ctx, leave := context.WithCancel(context.Background())
	t.Cleanup(leave)
	refused = &atomic.Int64{}
	for i := range requests {
		request, err := http.NewRequestWithContext(ctx, "GET", s.url+path(i), nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token(i))
		go func() {
			response, err := s.http.Do(request)
			if err != nil {
				return // the end
			}
			response.Body.Close()
			if response.StatusCode == refusal && (refusal != 429 || response.Header.Get("Retry-After") != "") {
				refused.Add(1)
			}
		}()
	}
	return refused
}

const secretsForPuller = `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: secrets}
rules: [{apiGroups: [image.openshift.io], resources: [imagestreams/secrets], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: secrets, namespace: demo}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: secrets}
subjects: [{kind: User, name: puller}]
`

// An API server that doesn't answer is waited for by as many as a flag says; the rest is refused at once. By the default
// all of the same crowd wait.
func TestAsManyWaitForAnAPIServerAsAFlagSaysAndNoFewer(t *testing.T) {
	const requests = 8
	b, id, kube, silence := besideHostileKube(t)
	kube.answer.Store(&silence)
	id.write(t, "rbac.yaml", []byte(secretsForPuller))
	besideEtcd := func(t *testing.T, bound string) *server {
		return startBounded(t, id, bound, "--etcd-servers="+b.URL, "--kubeconfig="+id.path("kubeconfig"), "--enable-secrets",
			"--secrets-threads=1")
	}
	always := func(text string) func(int) string { return func(int) string { return text } }
	layers := rig.LayersPath("demo", "app")
	for _, o := range []struct {
		bound   string
		start   func(t *testing.T, bound string) *server
		path    func(i int) string
		token   func(i int) string
		refusal int
		waiting []string // series
	}{
		{"--max-review-waiters=4", besideEtcd, always(layers), func(i int) string { return fmt.Sprint("unknown-", i) }, 401,
			[]string{`strata_review_cache_waiting{cache="token_review"}`}},
		{"--secrets-queue=4", besideEtcd, always(strings.Replace(layers, "/layers", "/secrets", 1)), always(pullerToken), 429,
			[]string{`strata_worker_queue_length{pool="secrets"}`, `strata_kube_requests_in_flight{for="secrets"}`}},
		{"--source-lookup-queue=3 --source-lookups-inflight=1", besideSlowSource(t), func(i int) string { return rig.LayersPath("demo", fmt.Sprint("missing-", i)) },
			always(pullerToken), 429, []string{"strata_source_lookups_waiting"}},
	} {
		for _, bound := range []string{o.bound, ""} {
			t.Run(o.bound+map[bool]string{true: ", by the default"}[bound == ""], func(t *testing.T) {
				s := o.start(t, bound)
				refused := s.comeAtOnce(t, requests, o.path, o.token, o.refusal)
				var n int64
				rig.Eventually(t, "who isn't refused waits", func() error {
					n = refused.Load()
					waiting := 0.0
					for _, series := range o.waiting {
						waiting += s.metric(t, series)
					}
					if int64(waiting)+n != requests {
						return fmt.Errorf("%v wait, and %d are refused", waiting, n)
					}
					return nil
				})
				// Some wait, or are asked for, and all others are refused.
				if bound == "" && n != 0 || bound != "" && (n < requests-3 || n == requests) {
					t.Errorf("%d of %d are refused", n, requests)
				}
			})
		}
	}
}

// One user's names neither fill what waits for an API server nor what it is asked for at a time.
func TestOneUsersNamesLeaveRoomForOthersAtAnAPIServer(t *testing.T) {
	s := besideSlowSource(t)(t, "--source-lookup-queue=3 --source-lookups-inflight=2")
	refused := s.comeAtOnce(t, 8, func(i int) string { return rig.LayersPath("demo", fmt.Sprint("missing-", i)) },
		func(int) string { return pullerToken }, 429)
	rig.Eventually(t, "he has his share", func() error {
		if n := refused.Load(); n < 5 {
			return fmt.Errorf("%d are refused", n)
		}
		return nil
	})
	if code, body := s.get(rig.LayersPath("demo", "absent"), adminToken); code != 404 {
		t.Errorf("%d %s", code, body)
	}
}

// besideSlowSource is how a server is started that reads its records at an API server which says nothing of those that
// are missing until the test ends.
func besideSlowSource(t *testing.T) func(t *testing.T, bound string) *server {
	t.Helper()
	api := startServer(t, "--data-dir="+embedded(t))
	target, err := url.Parse(api.url)
	if err != nil {
		t.Fatal(err)
	}
	pass := httputil.NewSingleHostReverseProxy(target)
	pass.FlushInterval = -1
	pass.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	id := newIdentity(t)
	front := serveAs(t, id, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/missing-") {
			<-r.Context().Done()
			return
		}
		pass.ServeHTTP(w, r)
	})
	return func(t *testing.T, bound string) *server {
		return startBounded(t, id, bound, "--source=kube", "--source-kubeconfig="+id.kubeconfigFor(t, front.URL, adminToken),
			"--source-lookup-timeout=1m")
	}
}
