package integration

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	imageclient "github.com/openshift/client-go/image/clientset/versioned/typed/image/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

func (s *server) restConfig(token string) *rest.Config {
	return &rest.Config{Host: s.url, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{CAData: s.id.ca}}
}

// What image-registry does before each pull, with its own client library, over protobuf.
func TestTypedClientReadsLayersOverProtobuf(t *testing.T) {
	forEachBackend(t, func(t *testing.T, name string) {
		b := startBackend(t, name)
		c := b.client(t)
		put(t, c, imageKey(digest(1)), imageValue(t, digest(1), digest(11), digest(12)))
		put(t, c, streamKey("demo", "app"), streamValue(t, "demo", "app", digest(1), digest(2)))
		s := startServer(t, "--etcd-servers="+b.url)

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
		image := layers.Images[digest(1)]
		if fmt.Sprint(image.Layers) != fmt.Sprint([]string{digest(11), digest(12)}) || image.Config == nil {
			t.Errorf("image %+v", image)
		}
		if !layers.Images[digest(2)].ImageMissing {
			t.Error("the image without a record isn't missing")
		}
		if blob := layers.Blobs[digest(11)]; blob.LayerSize == nil || *blob.LayerSize != 10 {
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
	b := startBackend(t, "etcd-3.6")
	c := b.client(t)
	put(t, c, imageKey(digest(1)), imageValue(t, digest(1), digest(11)))
	put(t, c, streamKey("demo", "app"), streamValue(t, "demo", "app", digest(1)))
	s := startServer(t, "--etcd-servers="+b.url)
	s.id.write(t, "ca.crt", s.id.ca)
	out, err := exec.Command(peer(t, "kubectl"), "--kubeconfig=/dev/null", "--server="+s.url,
		"--certificate-authority="+s.id.path("ca.crt"), "--token="+pullerToken, "get", "--raw",
		layersPath("demo", "app")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	contains(t, string(out), `"kind":"ImageStreamLayers"`, digest(11))
}

// A read that starts after a write was acknowledged shows it, always.
func TestEveryReadShowsWhatWasAcknowledgedBefore(t *testing.T) {
	forEachBackend(t, func(t *testing.T, name string) {
		b := startBackend(t, name)
		c := b.client(t)
		s := startServer(t, "--etcd-servers="+b.url)
		for i := 1; i <= 100; i++ {
			put(t, c, imageKey(digest(i)), imageValue(t, digest(i), digest(1000+i)))
			revision := put(t, c, streamKey("demo", "app"), streamValue(t, "demo", "app", digest(i)))
			body := s.layers(t, "demo", "app")
			contains(t, body, fmt.Sprintf(`"resourceVersion":"%d"`, revision), digest(1000+i))
			if t.Failed() {
				return
			}
		}
	})
}

func TestManyKeysOfOneRevisionAreSeenTogether(t *testing.T) {
	forEachBackend(t, func(t *testing.T, name string) {
		b := startBackend(t, name)
		c := b.client(t)
		s := startServer(t, "--etcd-servers="+b.url)
		var images []string
		for batch := 0; batch < 20; batch++ {
			var values []string
			for i := 0; i < 100; i++ {
				n := batch*100 + i + 1
				images = append(images, digest(n))
				values = append(values, imageKey(digest(n)), imageValue(t, digest(n), digest(100_000+n)))
			}
			putAll(t, c, values...)
		}
		put(t, c, streamKey("demo", "app"), streamValue(t, "demo", "app", images...))
		body := s.layers(t, "demo", "app")
		if strings.Contains(body, `"imageMissing":true`) || strings.Count(body, `"imageMissing":false`) != 2000 {
			t.Errorf("%d of 2000 images arrived", strings.Count(body, `"imageMissing":false`))
		}
	})
}

func TestTheEmbeddedStoreServesWithoutAnotherProcess(t *testing.T) {
	dir := t.TempDir() + "/store"
	b := startBackendIn(t, "strata-storage", dir, freePort(t))
	c := b.client(t)
	put(t, c, streamKey("demo", "app"), streamValue(t, "demo", "app", digest(1)))
	if code := b.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("strata-storage ended with %d", code)
	}
	s := startServer(t, "--data-dir="+dir)
	contains(t, s.layers(t, "demo", "app"), `"imageMissing":true`)
	if code := s.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("strata-apiserver ended with %d", code)
	}
}

func TestABackendThatIsAwayGives504AndNeverOldData(t *testing.T) {
	forEachBackend(t, func(t *testing.T, name string) {
		b := startBackend(t, name)
		c := b.client(t)
		put(t, c, streamKey("demo", "app"), streamValue(t, "demo", "app"))
		s := startServer(t, "--etcd-servers="+b.url)
		s.layers(t, "demo", "app")
		b.stop(syscall.SIGKILL)
		code, body := s.get(layersPath("demo", "app")+"?timeout=10s", adminToken)
		if code != 504 {
			t.Errorf("%d %s", code, body)
		}
		if code, _ := s.get(layersPath("demo", "app")+"?resourceVersion=0", adminToken); code != 200 {
			t.Errorf("resourceVersion=0: %d", code)
		}
		eventually(t, "readyz fails", func() error {
			if code, _ := s.get("/readyz", ""); code == 200 {
				return fmt.Errorf("still ready")
			}
			return nil
		})
		if code, _ := s.get("/livez", ""); code != 200 {
			t.Errorf("livez: %d", code)
		}
		b.launch()
		s.awaitReady(t)
		eventually(t, "answers again", func() error {
			if code, body := s.get(layersPath("demo", "app"), adminToken); code != 200 {
				return fmt.Errorf("%d %s", code, body)
			}
			return nil
		})
	})
}

func TestAServerStartsWithoutItsBackendAndBecomesReady(t *testing.T) {
	port := freePort(t)
	b := startBackendIn(t, "etcd-3.6", t.TempDir()+"/data", port)
	put(t, b.client(t), streamKey("demo", "app"), streamValue(t, "demo", "app"))
	b.stop(syscall.SIGKILL)
	go func() {
		time.Sleep(2 * time.Second)
		b.launch()
	}()
	s := startServer(t, fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", port))
	s.layers(t, "demo", "app")
}
