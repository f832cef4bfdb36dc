package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	imageclient "github.com/openshift/client-go/image/clientset/versioned/typed/image/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"strata/test/rig"
)

func (s *server) restConfig(token string) *rest.Config {
	return &rest.Config{Host: s.url, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{CAData: s.id.ca}}
}

// What image-registry does before each pull, with its own client library, over protobuf.
func TestTypedClientReadsLayersOverProtobuf(t *testing.T) {
	rig.ForEachBackend(t, func(t *testing.T, name string) {
		b := rig.StartBackend(t, name)
		c := b.Client(t)
		rig.Put(t, c, rig.ImageKey(rig.Digest(1)), rig.ImageValue(t, rig.Digest(1), rig.Digest(11), rig.Digest(12)))
		rig.Put(t, c, rig.StreamKey("demo", "app"), rig.StreamValue(t, "demo", "app", rig.Digest(1), rig.Digest(2)))
		s := startServer(t, "--etcd-servers="+b.URL)

		config := s.restConfig(pullerToken)
		config.ContentType = "application/vnd.kubernetes.protobuf"
		client, err := imageclient.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		layers, err := client.ImageStreams("demo").Layers(context.Background(), "app", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		image := layers.Images[rig.Digest(1)]
		if fmt.Sprint(image.Layers) != fmt.Sprint([]string{rig.Digest(11), rig.Digest(12)}) || image.Config == nil {
			t.Errorf("image %+v", image)
		}
		if !layers.Images[rig.Digest(2)].ImageMissing {
			t.Error("the image without a record isn't missing")
		}
		if blob := layers.Blobs[rig.Digest(11)]; blob.LayerSize == nil || *blob.LayerSize != 10 {
			t.Errorf("blob %+v", blob)
		}

		_, err = client.ImageStreams("demo").Layers(context.Background(), "nope", metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			t.Errorf("want NotFound, got %v", err)
		}
		_, err = client.ImageStreams("other").Layers(context.Background(), "app", metav1.GetOptions{})
		if !apierrors.IsForbidden(err) {
			t.Errorf("want Forbidden, got %v", err)
		}
		config.BearerToken = "wrong"
		client, _ = imageclient.NewForConfig(config)
		_, err = client.ImageStreams("demo").Layers(context.Background(), "app", metav1.GetOptions{})
		if !apierrors.IsUnauthorized(err) {
			t.Errorf("want Unauthorized, got %v", err)
		}
	})
}

func TestKubectlGetsRawLayers(t *testing.T) {
	b := rig.StartBackend(t, "etcd-3.6")
	c := b.Client(t)
	rig.Put(t, c, rig.ImageKey(rig.Digest(1)), rig.ImageValue(t, rig.Digest(1), rig.Digest(11)))
	rig.Put(t, c, rig.StreamKey("demo", "app"), rig.StreamValue(t, "demo", "app", rig.Digest(1)))
	s := startServer(t, "--etcd-servers="+b.URL)
	s.id.write(t, "ca.crt", s.id.ca)
	out, err := exec.Command(rig.Peer(t, "kubectl"), "--kubeconfig=/dev/null", "--server="+s.url,
		"--certificate-authority="+s.id.path("ca.crt"), "--token="+pullerToken, "get", "--raw",
		rig.LayersPath("demo", "app")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	rig.Contains(t, string(out), `"kind":"ImageStreamLayers"`, rig.Digest(11))
}

// A read that starts after a write was acknowledged shows it, always.
func TestEveryReadShowsWhatWasAcknowledgedBefore(t *testing.T) {
	rig.ForEachBackend(t, func(t *testing.T, name string) {
		b := rig.StartBackend(t, name)
		c := b.Client(t)
		s := startServer(t, "--etcd-servers="+b.URL)
		for i := 1; i <= 100; i++ {
			rig.Put(t, c, rig.ImageKey(rig.Digest(i)), rig.ImageValue(t, rig.Digest(i), rig.Digest(1000+i)))
			revision := rig.Put(t, c, rig.StreamKey("demo", "app"), rig.StreamValue(t, "demo", "app", rig.Digest(i)))
			body := s.layers(t, "demo", "app")
			rig.Contains(t, body, fmt.Sprintf(`"resourceVersion":"%d"`, revision), rig.Digest(1000+i))
			if t.Failed() {
				return
			}
		}
	})
}

func TestManyKeysOfOneRevisionAreSeenTogether(t *testing.T) {
	rig.ForEachBackend(t, func(t *testing.T, name string) {
		b := rig.StartBackend(t, name)
		c := b.Client(t)
		s := startServer(t, "--etcd-servers="+b.URL)
		var images []string
		for batch := 0; batch < 20; batch++ {
			var values []string
			for i := 0; i < 100; i++ {
				n := batch*100 + i + 1
				images = append(images, rig.Digest(n))
				values = append(values, rig.ImageKey(rig.Digest(n)), rig.ImageValue(t, rig.Digest(n), rig.Digest(100_000+n)))
			}
			putAll(t, c, values...)
		}
		rig.Put(t, c, rig.StreamKey("demo", "app"), rig.StreamValue(t, "demo", "app", images...))
		body := s.layers(t, "demo", "app")
		if strings.Contains(body, `"imageMissing":true`) || strings.Count(body, `"imageMissing":false`) != 2000 {
			t.Errorf("%d of 2000 images arrived", strings.Count(body, `"imageMissing":false`))
		}
	})
}

func TestTheEmbeddedStoreServesWithoutAnotherProcess(t *testing.T) {
	dir := t.TempDir() + "/store"
	b := rig.StartBackendIn(t, "strata-storage", dir, rig.FreePort(t))
	c := b.Client(t)
	rig.Put(t, c, rig.StreamKey("demo", "app"), rig.StreamValue(t, "demo", "app", rig.Digest(1)))
	if code := b.Stop(syscall.SIGTERM); code != 0 {
		t.Errorf("strata-storage ended with %d", code)
	}
	s := startServer(t, "--data-dir="+dir)
	rig.Contains(t, s.layers(t, "demo", "app"), `"imageMissing":true`)
	_, metrics := s.get("/metrics", adminToken)
	rig.Contains(t, metrics, `strata_store_alarm{alarm="CORRUPT"} 0`, "etcd_server_quota_backend_bytes 0")
	if code := s.Stop(syscall.SIGTERM); code != 0 {
		t.Errorf("strata-apiserver ended with %d", code)
	}
}

func TestTheStoreServesLayersOverASocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "strata-socket-") // t.TempDir's may be longer than a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b := rig.StartStore(t, dir+"/data", "unix://"+dir+"/storage.sock")
	rig.Put(t, b.Client(t), rig.StreamKey("demo", "app"), rig.StreamValue(t, "demo", "app", rig.Digest(1)))
	s := startServer(t, "--etcd-servers="+b.URL)
	rig.Contains(t, s.layers(t, "demo", "app"), rig.Digest(1))
	b.Stop(syscall.SIGKILL)
	b.Launch()
	rig.Put(t, b.Client(t), rig.StreamKey("demo", "app"), rig.StreamValue(t, "demo", "app", rig.Digest(2)))
	rig.Eventually(t, "it serves what is written now", func() error {
		if code, body := s.get(rig.LayersPath("demo", "app"), adminToken); code != 200 || !strings.Contains(body, rig.Digest(2)) {
			return fmt.Errorf("%d %s", code, body)
		}
		return nil
	})
}

func TestABackendThatIsAwayGives504AndNeverOldData(t *testing.T) {
	rig.ForEachBackend(t, func(t *testing.T, name string) {
		b := rig.StartBackend(t, name)
		c := b.Client(t)
		rig.Put(t, c, rig.StreamKey("demo", "app"), rig.StreamValue(t, "demo", "app"))
		s := startServer(t, "--etcd-servers="+b.URL)
		s.layers(t, "demo", "app")
		b.Stop(syscall.SIGKILL)
		code, header, body := s.answer(rig.LayersPath("demo", "app")+"?timeout=10s", adminToken, "")
		if after := header.Get("Retry-After"); code != 504 || after != "1" {
			t.Errorf("%d, Retry-After %q, %s", code, after, body)
		}
		if code, _ := s.get(rig.LayersPath("demo", "app")+"?resourceVersion=0", adminToken); code != 200 {
			t.Errorf("resourceVersion=0: %d", code)
		}
		rig.Eventually(t, "readyz fails", func() error {
			if code, _ := s.get("/readyz", ""); code == 200 {
				return fmt.Errorf("still ready")
			}
			return nil
		})
		if code, _ := s.get("/livez", ""); code != 200 {
			t.Errorf("livez: %d", code)
		}
		b.Launch()
		s.awaitReady(t)
		rig.Eventually(t, "answers again", func() error {
			if code, body := s.get(rig.LayersPath("demo", "app"), adminToken); code != 200 {
				return fmt.Errorf("%d %s", code, body)
			}
			return nil
		})
	})
}

func TestAServerStartsWithoutItsBackendAndBecomesReady(t *testing.T) {
	port := rig.FreePort(t)
	b := rig.StartBackendIn(t, "etcd-3.6", t.TempDir()+"/data", port)
	rig.Put(t, b.Client(t), rig.StreamKey("demo", "app"), rig.StreamValue(t, "demo", "app"))
	b.Stop(syscall.SIGKILL)
	go func() {
		time.Sleep(2 * time.Second)
		b.Launch()
	}()
	s := startServer(t, fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", port))
	s.layers(t, "demo", "app")
}

// What is kept for watches of layers is counted.
func TestTheHistoryOfLayersIsMeasured(t *testing.T) {
	b := rig.StartBackend(t, "strata-storage")
	c := b.Client(t)
	s := startServer(t, "--etcd-servers="+b.URL)
	measured := func() (revisions, bytes float64) {
		s.layers(t, "demo", "app") // then all that was written has come
		return s.metric(t, "strata_layers_history_revisions"), s.metric(t, "strata_layers_history_bytes")
	}
	const changes = 5
	rig.Put(t, c, rig.StreamKey("demo", "app"), rig.StreamValue(t, "demo", "app"))
	before, begun := measured()
	for i := range changes {
		rig.Put(t, c, rig.StreamKey("demo", "app"), rig.StreamValue(t, "demo", "app", rig.Digest(1+i)))
	}
	after, kept := measured()
	if after != before+changes {
		t.Errorf("%v revisions, after %d changes to %v", after, changes, before)
	}
	// A few kilobytes each.
	if more := (kept - begun) / changes; more < 2000 || more > 20_000 {
		t.Errorf("a change takes %v bytes", more)
	}
}
