package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"strata/test/rig"
)

// Whatever happens on the way to the API server of --source=kube: no answer is wrong or goes back, none is older than the
// silence that is allowed, and soon after it has ended all is right again.
func TestNoAnswerIsWrongWhateverBefallsTheWayToAnAPIServer(t *testing.T) {
	b := rig.StartBackend(t, "etcd-3.6")
	h := startWriting(t, b.Client(t))
	teller := startServer(t, "--etcd-servers="+b.URL)
	p := rig.NewProxy(t, teller.url)
	id := newIdentity(t)
	id.ca = append(id.ca, teller.id.ca...)
	s := startServerAs(t, id, "--source=kube", "--source-kubeconfig="+id.kubeconfigFor(t, p.URL, adminToken),
		"--source-silence-time=2s", "--source-probe-interval=1s", "--rbac-file="+id.path("rbac.yaml"))
	before := s.takes(t)
	for _, o := range troubles {
		t.Run(o.name, func(t *testing.T) {
			var last atomic.Int64
			endure(t, p, o, func() string {
				begun, before := time.Now(), last.Load()
				code, body := s.get(rig.LayersPath("demo", "app"), adminToken)
				if code == 504 {
					rig.Contains(t, body, `"reason":"Timeout"`)
					return "504"
				}
				if code != 200 {
					t.Errorf("%d %s", code, body)
					return ""
				}
				told := h.judge(t, before, body)
				for now := before; now < told && !last.CompareAndSwap(now, told); {
					now = last.Load()
				}
				if age := h.age(told, begun); age > 6*time.Second {
					t.Errorf("revision %d had been followed by others for %v", told, age)
				}
				return ""
			})
		})
	}
	s.tookNoMoreThan(t, before)
}

// Pages are of one revision while streams change and no image does, so that one watch is quiet: nobody waits for it.
func TestAPagedListGoesOnThoughOneOfTwoWatchesIsQuiet(t *testing.T) {
	b := rig.StartBackend(t, "etcd-3.6")
	writer := b.Client(t)
	for i := range 5 {
		rig.Put(t, writer, rig.ImageKey(rig.Digest(i)), rig.ImageValue(t, rig.Digest(i), rig.Digest(1000+i)))
	}
	teller := startServer(t, "--etcd-servers="+b.URL)
	id := newIdentity(t)
	id.ca = append(id.ca, teller.id.ca...)
	s := startServerAs(t, id, "--source=kube", "--source-kubeconfig="+id.kubeconfigFor(t, teller.url, adminToken),
		"--rbac-file="+id.path("rbac.yaml"))
	var names []string
	query := "limit=2"
	for page := range 3 {
		stream := fmt.Sprintf("s%d", page)
		rig.Put(t, writer, rig.StreamKey("demo", stream), rig.StreamValue(t, "demo", stream, rig.Digest(page)))
		rig.Eventually(t, "the stream has come", func() error {
			if code, body := s.get("/apis/image.openshift.io/v1/imagestreams?resourceVersion=0", adminToken); code != 200 ||
				!strings.Contains(body, `"`+stream+`"`) {
				return fmt.Errorf("%d %s", code, body)
			}
			return nil
		})
		code, body := s.get("/apis/image.openshift.io/v1/images?"+query, adminToken)
		var list struct {
			Metadata struct{ Continue string }
			Items    []struct{ Metadata struct{ Name string } }
		}
		if err := json.Unmarshal([]byte(body), &list); code != 200 || err != nil {
			t.Fatalf("page %d: %d %s", page, code, body)
		}
		for _, item := range list.Items {
			names = append(names, item.Metadata.Name)
		}
		query = "limit=2&continue=" + url.QueryEscape(list.Metadata.Continue)
	}
	sort.Strings(names)
	if names = slices.Compact(names); len(names) != 5 {
		t.Errorf("%q", names)
	}
}

// Connections that a router has forgotten: the watches' aren't told of their end, while new ones pass, and with them the
// signs of life. What a watch would have told is missing for no longer than an API server may be silent.
func TestAWatchWhosePacketsGetLostIsNoticed(t *testing.T) {
	b := rig.StartBackend(t, "etcd-3.6")
	h := startWriting(t, b.Client(t))
	teller := startServer(t, "--etcd-servers="+b.URL)
	p := rig.NewProxy(t, teller.url)
	id := newIdentity(t)
	id.ca = append(id.ca, teller.id.ca...)
	s := startServerAs(t, id, "--source=kube", "--source-kubeconfig="+id.kubeconfigFor(t, p.URL, adminToken),
		"--rbac-file="+id.path("rbac.yaml"))
	known := h.judge(t, 0, s.layers(t, "demo", "app"))
	if err := p.Bury(); err != nil {
		t.Fatal(err)
	}
	s.isTold(t, h, known, 35*time.Second)
}

// isTold awaits what is written from now on, and is the revision that is told then. No answer is of a time before `known`,
// or before another one. Where it takes 23 s at most, a machine that is busy has half as much again.
func (s *server) isTold(t *testing.T, h *history, known int64, within time.Duration) int64 {
	t.Helper()
	lost := h.newest()
	begun, oldest := time.Now(), time.Duration(0)
	rig.EventuallyWithin(t, within, "what was written since is told", func() error {
		asked := time.Now()
		code, body := s.get(rig.LayersPath("demo", "app"), adminToken)
		if code != 200 {
			return fmt.Errorf("%d %s", code, body)
		}
		known = h.judge(t, known, body)
		oldest = max(oldest, h.age(known, asked))
		if known <= lost+2 {
			return fmt.Errorf("revision %d is told", known)
		}
		return nil
	})
	t.Logf("it was told after %v; the oldest answer was %v old", time.Since(begun), oldest)
	return known
}

// A kube-apiserver that knows who is whom, and tells: good-N is user good-N, who may everything; poor-N is known and may
// nothing; nobody else is known.
func judgeOfReviews(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var review struct {
		Kind, APIVersion string
		Spec             struct{ Token, User string }
	}
	if err != nil || json.Unmarshal(body, &review) != nil {
		http.Error(w, "no review", http.StatusBadRequest)
		return
	}
	status := map[string]any{}
	if review.Kind == "TokenReview" {
		known := strings.HasPrefix(review.Spec.Token, "good-") || strings.HasPrefix(review.Spec.Token, "poor-")
		status["authenticated"] = known
		if known {
			status["user"] = map[string]any{"username": review.Spec.Token}
		}
	} else {
		status["allowed"] = strings.HasPrefix(review.Spec.User, "good-")
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": review.Kind, "apiVersion": review.APIVersion, "status": status})
}

// Whatever happens on the way to who is asked about tokens and rights: nobody gets in who isn't to, and soon after it has
// ended all others do.
func TestNobodyGetsInWhateverBefallsTheWayOfReviews(t *testing.T) {
	b, id, kube, _ := besideHostileKube(t)
	tell := http.HandlerFunc(judgeOfReviews)
	kube.answer.Store(&tell)
	p := rig.NewProxy(t, kube.URL)
	s := startServerAs(t, id, "--etcd-servers="+b.URL, "--kubeconfig="+id.kubeconfigFor(t, p.URL, "t"),
		"--authentication-skip-lookup", "--authorization-mode=Webhook")
	before := s.takes(t)
	var n atomic.Int64
	ask := func(t *testing.T, who string, never int) string {
		code, body := s.get(rig.LayersPath("demo", "app")+"?timeout=5s", fmt.Sprint(who, n.Add(1)))
		if code == never {
			t.Errorf("%s: %d %s", who, code, body)
		}
		return fmt.Sprint(code)
	}
	for _, o := range troubles {
		t.Run(o.name, func(t *testing.T) {
			endure(t, p, o, func() string {
				ask(t, "poor-", 200)
				ask(t, "unknown-", 200)
				if code := ask(t, "good-", 0); code != "200" {
					return code
				}
				return ""
			})
		})
	}
	for who, want := range map[string]string{"poor-": "403", "unknown-": "401"} {
		if code := ask(t, who, 200); code != want {
			t.Errorf("%s: %s", who, code)
		}
	}
	s.tookNoMoreThan(t, before)
}
