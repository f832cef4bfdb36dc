package integration

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"strata/test/rig"
)

// Of several API servers behind one address, as that of a Service, the one that tells the watches hangs, or is killed.
// While it hangs the others give signs of life, and its kernel acknowledges: what it would have told is missing for no
// longer than a watch lasts.
func TestRecordsAreFollowedPastOneOfSeveralAPIServersThatIsAway(t *testing.T) {
	b := rig.StartBackend(t, "etcd-3.6")
	h := startWriting(t, b.Client(t))
	other := startServer(t, "--etcd-servers="+b.URL)
	service := rig.NewProxy(t, other.url)
	id := newIdentity(t)
	id.ca = append(id.ca, other.id.ca...)
	for _, o := range []struct {
		name   string
		signal syscall.Signal
		within time.Duration
	}{{"hangs", syscall.SIGSTOP, 35 * time.Second}, {"is killed", syscall.SIGKILL, 10 * time.Second}} {
		t.Run(o.name, func(t *testing.T) {
			teller := startServer(t, "--etcd-servers="+b.URL)
			id.ca = append(id.ca, teller.id.ca...)
			service.Lead(teller.url)
			s := startServerAs(t, id, "--source=kube", "--source-kubeconfig="+id.kubeconfigFor(t, service.URL, adminToken),
				"--rbac-file="+id.path("rbac.yaml"))
			known := s.isTold(t, h, 0, rig.Patience)
			service.Lead(other.url)
			teller.Signal(o.signal)
			s.isTold(t, h, known, o.within)
		})
	}
}

// Of several who are asked about tokens and rights one hangs, or isn't there, first while connections come to it in
// turn, then when they don't any more: nobody gets in who isn't to, and then everybody else does.
func TestReviewsGoOnPastOneOfSeveralAPIServersThatIsAway(t *testing.T) {
	b, id, one, _ := besideHostileKube(t)
	other := newHostileKube(t, id)
	tell := http.HandlerFunc(judgeOfReviews)
	one.answer.Store(&tell)
	other.answer.Store(&tell)
	away := rig.NewProxy(t, one.URL)
	service := rig.NewProxy(t, away.URL)
	s := startServerAs(t, id, "--etcd-servers="+b.URL, "--kubeconfig="+id.kubeconfigFor(t, service.URL, "t"),
		"--authentication-skip-lookup", "--authorization-mode=Webhook")
	asked := 0
	ask := func(who string) int {
		asked++
		code, body := s.get(rig.LayersPath("demo", "app")+"?timeout=5s", fmt.Sprint(who, asked))
		if code == 200 && who != "good-" {
			t.Errorf("%s%d got %s", who, asked, body)
		}
		return code
	}
	for _, o := range []struct {
		name  string
		fault rig.Fault
	}{{"it hangs", rig.Fault{Silent: true}}, {"it isn't there", rig.Fault{Cut: 1}}} {
		service.Lead(away.URL, other.URL)
		service.Reset()
		ask("good-")
		away.Set(o.fault)
		right := 0
		for range 5 {
			ask("poor-")
			ask("unknown-")
			if ask("good-") == 200 {
				right++
			}
		}
		service.Lead(other.URL)
		begun := time.Now()
		rig.Eventually(t, o.name+", and everybody is told apart", func() error {
			for range 10 {
				good, poor, unknown := ask("good-"), ask("poor-"), ask("unknown-")
				if good != 200 || poor != 403 || unknown != 401 {
					return fmt.Errorf("%d, %d, %d", good, poor, unknown)
				}
			}
			return nil
		})
		t.Logf("%s: %d of 5 in turn, everybody after %v", o.name, right, time.Since(begun))
		away.Set(rig.Fault{})
	}
}

// The way to each member of an etcd is long from some time on: who is slow isn't silent.
func TestALongWayToSeveralMembersFailsNothing(t *testing.T) {
	c := rig.StartCluster(t, 3)
	var ways []*rig.Proxy
	var urls []string
	for _, m := range c.Members {
		way := rig.NewProxy(t, m.URL)
		ways, urls = append(ways, way), append(urls, way.URL)
	}
	h := startWriting(t, c.Members[0].Client(t))
	s := startServer(t, "--etcd-servers="+strings.Join(urls, ","))
	for _, way := range ways {
		way.Set(rig.Fault{Delay: 150 * time.Millisecond})
	}
	var slowest time.Duration
	for began := time.Now(); time.Since(began) < 8*time.Second; {
		oldest, asked := h.newest(), time.Now()
		code, body := s.get(rig.LayersPath("demo", "app"), adminToken)
		if code != 200 {
			t.Fatalf("%d %s after %.1fs", code, body, time.Since(asked).Seconds())
		}
		h.judge(t, oldest, body)
		slowest = max(slowest, time.Since(asked))
	}
	t.Logf("the slowest answer took %.2fs", slowest.Seconds())
}
