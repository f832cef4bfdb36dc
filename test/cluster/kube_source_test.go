package cluster

import (
	"context"
	"fmt"
	"math/rand"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strata/test/rig"
)

// startFollower runs a server whose records are those that kube-apiserver serves, with the rights and the flags of
// deploy/components/source-kube.
func (c *cluster) startFollower(port int, flags ...string) *rig.Process {
	c.t.Helper()
	c.kubectl("admin", "apply", "-f", "../../deploy/components/source-kube/role.yaml")
	component, err := os.ReadFile("../../deploy/components/source-kube/kustomization.yaml")
	c.check(err)
	rig.Contains(c.t, string(component), "value: --source=kube")
	return c.startStrataFrom(port, append([]string{"--source=kube"}, flags...)...)
}

func (c *cluster) awaitReadyOn(port int) {
	c.t.Helper()
	rig.EventuallyWithin(c.t, time.Minute, "Strata is ready", func() error {
		if code, body := c.askOn(port, "/readyz?verbose", direct{}); code != http.StatusOK {
			return fmt.Errorf("%d %s", code, body)
		}
		return nil
	})
}

func (c *cluster) asAdmin() direct {
	return direct{headers: http.Header{"Authorization": {"Bearer admintoken"}}}
}

// A world of few names, so that writes meet.
type scribbler struct {
	c       *cluster
	etcd    *clientv3.Client
	random  *rand.Rand
	streams int
	images  int
}

func (s *scribbler) stream() string { return fmt.Sprintf("s%d", s.random.Intn(s.streams)) }
func (s *scribbler) image() int     { return 1 + s.random.Intn(s.images) }

// write changes one record: an image is made anew, or goes; a stream names other images, or goes.
func (s *scribbler) write() {
	t := s.c.t
	switch s.random.Intn(10) {
	case 0, 1, 2:
		n := s.image()
		rig.Put(t, s.etcd, rig.ImageKey(rig.Digest(n)), rig.ImageValue(t, rig.Digest(n),
			rig.Digest(1000+s.random.Intn(50)), rig.Digest(2000+s.random.Intn(50))))
	case 3:
		s.remove(rig.ImageKey(rig.Digest(s.image())))
	case 4:
		s.remove(rig.StreamKey(namespace, s.stream()))
	default:
		var images []string
		for range 1 + s.random.Intn(4) {
			images = append(images, rig.Digest(s.image()))
		}
		name := s.stream()
		rig.Put(t, s.etcd, rig.StreamKey(namespace, name), rig.StreamValue(t, namespace, name, images...))
	}
}

func (s *scribbler) remove(key string) {
	_, err := s.etcd.Delete(context.Background(), key)
	s.c.check(err)
}

// differences are the streams whose layers two servers tell otherwise.
func (s *scribbler) differences(first, second int) []string {
	var different []string
	for i := range s.streams {
		path := rig.LayersPath(namespace, fmt.Sprintf("s%d", i))
		code, body := s.c.askOn(first, path, s.c.asAdmin())
		otherCode, otherBody := s.c.askOn(second, path, s.c.asAdmin())
		if code != otherCode || body != otherBody {
			different = append(different, fmt.Sprintf("%s: %d %s\n%d %s", path, code, body, otherCode, otherBody))
		}
	}
	return different
}

// A server that reads its records at kube-apiserver ends equal to the one that serves them there, whatever is restarted
// while they change.
func TestAServerThatReadsTheAPIEndsEqualToTheOneThatServesIt(t *testing.T) {
	c := newCluster(t)
	c.storeApp()
	port := rig.FreePort(t)
	follower := c.startFollower(port)
	c.awaitReadyOn(port)
	s := &scribbler{c: c, etcd: c.records.Client(t), random: rand.New(rand.NewSource(1)), streams: 30, images: 60}

	writes := rig.Times("STRATA_SOURCE_WRITES", 600)
	restarts := []func(){
		func() { follower.Stop(syscall.SIGKILL); follower.Launch() },
		func() { c.strata.Stop(syscall.SIGTERM); c.strata.Launch() },
		func() { c.kube.Stop(syscall.SIGKILL); c.kube.Launch() },
		func() { c.records.Stop(syscall.SIGKILL); c.records.Launch() },
		func() { c.strata.Stop(syscall.SIGKILL); c.strata.Launch() },
		func() { follower.Stop(syscall.SIGTERM); follower.Launch() },
	}
	for n := range writes {
		s.write()
		if every := writes / (len(restarts) + 1); every > 0 && n%every == every-1 && n/every < len(restarts) {
			restarts[n/every]()
			s.etcd = c.records.Client(t)
		}
	}
	c.awaitKube()
	c.awaitReadyOn(c.port)
	c.awaitAvailable()
	c.awaitReadyOn(port)
	var different []string
	rig.EventuallyWithin(t, time.Minute, "both servers tell the same", func() error {
		if different = s.differences(c.port, port); len(different) > 0 {
			return fmt.Errorf("%d streams differ: %s", len(different), different[0])
		}
		return nil
	})
}

// What was written is told at once, by whoever has read the API: a stream, and the image that it names, whether or not
// the watches have brought them.
func TestWhatTheAPIHasIsNotSaidToBeMissing(t *testing.T) {
	c := newCluster(t)
	port := rig.FreePort(t)
	c.startFollower(port)
	c.awaitReadyOn(port)
	inDemo, ofLayers := "/apis/image.openshift.io/v1/namespaces/"+namespace, "/apis/layers.strata.dev/v1alpha1/"
	ways := []func(stream, image string) string{ // to ask for what names the image or its layer
		func(stream, _ string) string { return inDemo + "/imagestreams/" + stream + "/layers" },
		func(stream, _ string) string { return inDemo + "/imagestreams/" + stream },
		func(stream, _ string) string { return inDemo + "/imagestreamtags/" + stream + ":latest" },
		func(stream, _ string) string {
			return ofLayers + "namespaces/" + namespace + "/imagestreamlayers/" + stream
		},
		func(_, image string) string { return "/apis/image.openshift.io/v1/images/" + image },
		func(_, image string) string { return ofLayers + "imagelayers/" + image },
	}
	for n := 1; n <= 120; n++ {
		name, image := fmt.Sprintf("new%d", n), rig.Digest(n)
		c.store(rig.ImageKey(image), rig.ImageValue(t, image, rig.Digest(1000+n)))
		c.store(rig.StreamKey(namespace, name), rig.StreamValue(t, namespace, name, image))
		path := ways[n%len(ways)](name, image)
		code, body := c.askOn(port, path, c.asAdmin())
		if code != http.StatusOK || strings.Contains(body, `"imageMissing":true`) || !strings.Contains(body, image) {
			t.Fatalf("%s: %d %s", path, code, body)
		}
	}
	for _, way := range ways {
		path := way("never", rig.Digest(9999))
		if code, body := c.askOn(port, path, c.asAdmin()); code != http.StatusNotFound {
			t.Errorf("what never was, %s: %d %s", path, code, body)
		}
	}
}

// Without the API nothing old is told, and when it is back, all is as before, without a restart.
func TestWithoutTheAPINothingIsSaidToBeCurrent(t *testing.T) {
	c := newCluster(t)
	c.storeApp()
	port := rig.FreePort(t)
	c.startFollower(port, "--freshness-read-timeout=2s")
	c.awaitReadyOn(port)
	path := rig.LayersPath(namespace, "app")
	how := direct{headers: http.Header{}}
	how.headers.Set("Authorization", "Bearer admintoken")
	if code, body := c.askOn(port, path, how); code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	c.kube.Stop(syscall.SIGKILL)
	rig.EventuallyWithin(t, time.Minute, "it isn't ready", func() error {
		if code, _ := c.askOn(port, "/readyz", direct{}); code == http.StatusOK {
			return fmt.Errorf("it is")
		}
		return nil
	})
	// The token was reviewed, and the review is kept.
	if code, body := c.askOn(port, path, how); code != http.StatusGatewayTimeout {
		t.Errorf("%d %s", code, body)
	}
	if code, body := c.askOn(port, path+"?resourceVersion=0", how); code != http.StatusOK {
		t.Errorf("what is known, for who asks for no more: %d %s", code, body)
	}
	c.kube.Launch()
	c.awaitKube()
	c.awaitReadyOn(port)
	if code, body := c.askOn(port, path, how); code != http.StatusOK {
		t.Errorf("%d %s", code, body)
	}
}

// The rights of deploy/components/source-kube are all that it needs of the records, and are needed.
func TestTheRightToReadImagesIsNeeded(t *testing.T) {
	c := newCluster(t)
	port := rig.FreePort(t)
	c.startFollower(port)
	c.awaitReadyOn(port)
	role, err := c.client.RbacV1().ClusterRoles().Get(context.Background(), "strata:image-reader", metav1.GetOptions{})
	c.check(err)
	for _, rule := range role.Rules {
		if !slices.Equal(rule.Verbs, []string{"get", "list", "watch"}) {
			t.Errorf("%v", rule)
		}
	}
	c.kubectl("admin", "delete", "clusterrolebinding", "strata:image-reader")
	rig.EventuallyWithin(t, time.Minute, "the missing right is said", func() error {
		code, body := c.askOn(port, "/readyz?verbose", direct{})
		if code == http.StatusOK || !strings.Contains(body, "[-]kube-source") {
			return fmt.Errorf("%d %s", code, body)
		}
		return nil
	})
	c.kubectl("admin", "apply", "-f", "../../deploy/components/source-kube/role.yaml")
	c.awaitReadyOn(port)
}
