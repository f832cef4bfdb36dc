package cluster

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"strata/test/rig"
)

// watchAvailability looks at the APIService's condition until the returned function is called, which fails the test if
// it ever said no.
func (c *cluster) watchAvailability() (end func(t *testing.T, during string)) {
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	var lost []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			ok, why := c.available()
			mu.Lock()
			if !ok && (len(lost) == 0 || lost[len(lost)-1] != why) {
				lost = append(lost, why)
			}
			mu.Unlock()
			time.Sleep(100 * time.Millisecond)
		}
	}()
	return func(t *testing.T, during string) {
		t.Helper()
		cancel()
		<-done
		for _, why := range lost {
			t.Errorf("%s the APIService wasn't available: %s", during, why)
		}
	}
}

// availableSince is when the APIService's condition changed last.
func (c *cluster) availableSince() metav1.Time {
	c.t.Helper()
	service, err := c.apiServices().ApiregistrationV1().APIServices().Get(context.Background(), "v1."+group,
		metav1.GetOptions{})
	c.check(err)
	for _, condition := range service.Status.Conditions {
		if condition.Type == apiregistration.Available {
			return condition.LastTransitionTime
		}
	}
	c.t.Fatal("no condition")
	return metav1.Time{}
}

// awaitLayers waits until a read through the aggregator answers.
func (c *cluster) awaitLayers(what string) {
	c.t.Helper()
	rig.EventuallyWithin(c.t, time.Minute, what, func() error {
		out, err := c.tryKubectl("puller", "get", "--raw", rig.LayersPath(namespace, "app"))
		if err != nil {
			return fmt.Errorf("%v: %s", err, out)
		}
		return nil
	})
}

// With its backend away Strata can't tell layers, but what kube-apiserver asks for comes from memory.
func TestTheAPIServiceStaysAvailableWhileTheBackendIsAway(t *testing.T) {
	c := newCluster(t)
	c.storeApp()
	c.awaitLayers("layers before")
	end := c.watchAvailability()
	c.records.Stop(syscall.SIGKILL)
	stopped := time.Now()
	rig.EventuallyWithin(t, time.Minute, "layers fail", func() error {
		if out, err := c.tryKubectl("puller", "get", "--raw", rig.LayersPath(namespace, "app")); err == nil {
			return fmt.Errorf("still answered: %s", out)
		}
		return nil
	})
	// A minute covers two resyncs of the availability controller.
	for time.Since(stopped) < time.Minute {
		c.kubectl("nobody", "get", "--raw", "/apis/"+group+"/v1")
		time.Sleep(time.Second)
	}
	end(t, "while the backend was away")
	c.records.Launch()
	c.awaitLayers("layers after")
}

func TestTheAPIServiceComesBackAfterRestarts(t *testing.T) {
	c := newCluster(t)
	c.storeApp()
	c.awaitLayers("layers before")

	t.Run("of Strata", func(t *testing.T) {
		if code := c.strata.Stop(syscall.SIGTERM); code != 0 {
			t.Errorf("exit code %d", code)
		}
		c.strata.Launch()
		c.awaitLayers("layers after Strata's restart")
		c.awaitAvailable()
	})
	t.Run("of kube-apiserver, which finds it available as it was", func(t *testing.T) {
		since := c.availableSince()
		c.kube.Stop(syscall.SIGTERM)
		c.kube.Launch()
		c.awaitKube()
		c.awaitAvailable()
		c.awaitLayers("layers after kube-apiserver's restart")
		if now := c.availableSince(); !now.Equal(&since) {
			t.Errorf("available since %v, and again since %v", since, now)
		}
	})
	t.Run("of Strata while kube-apiserver is away", func(t *testing.T) {
		c.kube.Stop(syscall.SIGTERM)
		c.strata.Stop(syscall.SIGTERM)
		c.strata.Launch()
		rig.EventuallyWithin(t, time.Minute, "Strata serves but isn't ready", func() error {
			code, body := c.ask("/readyz", direct{})
			if code != 500 {
				return fmt.Errorf("%d %s", code, body)
			}
			rig.Contains(t, body, "[-]authentication-config failed: reason withheld")
			return nil
		})
		if code, body := c.ask("/livez", direct{}); code != 200 {
			t.Errorf("livez: %d %s", code, body)
		}
		c.kube.Launch()
		c.awaitKube()
		rig.EventuallyWithin(t, time.Minute, "Strata is ready by itself", func() error {
			if code, body := c.ask("/readyz", direct{}); code != 200 {
				return fmt.Errorf("%d %s", code, body)
			}
			return nil
		})
		c.awaitAvailable()
		c.awaitLayers("layers after both restarts")
	})
}

func TestCertificatesRotateWithoutLosingTheAPIService(t *testing.T) {
	c := newCluster(t)
	c.storeApp()
	c.awaitLayers("layers before")

	t.Run("the serving certificate", func(t *testing.T) {
		end := c.watchAvailability()
		before := c.servingSerial()
		c.pair("strata", c.ca.Serving, "strata.strata.svc")
		rig.EventuallyWithin(t, time.Minute, "the new certificate is served", func() error {
			if c.servingSerial() == before {
				return fmt.Errorf("still the old one")
			}
			return nil
		})
		c.awaitLayers("layers under the new certificate")
		end(t, "during the rotation")
	})

	// First both CAs, then a certificate of the new one, then the new CA alone. kube-apiserver only ever adds to the
	// ConfigMap: who rotates takes the old CA out.
	t.Run("the aggregator's CA", func(t *testing.T) {
		next := rig.NewCA(t, "front-proxy-ca-2")
		c.write("front-proxy-ca.crt", append(append([]byte{}, c.proxyCA.PEM...), next.PEM...))
		c.publishProxyCA(string(c.proxyCA.PEM) + string(next.PEM))
		certificate, key := next.Client(t, "front-proxy-client")
		end := c.watchAvailability()
		c.writePair("front-proxy", certificate, key)
		c.write("front-proxy-ca.crt", next.PEM)
		c.awaitLayers("layers while both are believed")
		// kube-apiserver reads its files again within a minute.
		time.Sleep(time.Minute)
		c.publishProxyCA(string(next.PEM))
		c.awaitLayers("layers under the new CA")
		old, oldKey := c.proxyCA.Client(t, "front-proxy-client")
		rig.EventuallyWithin(t, time.Minute, "the old CA isn't believed any more", func() error {
			code, body := c.ask(rig.LayersPath(namespace, "app"), c.asProxy(old, oldKey, "puller"))
			if code != 401 {
				return fmt.Errorf("%d %s", code, body)
			}
			return nil
		})
		c.awaitLayers("layers after the rotation")
		end(t, "during the rotation")
	})
}

// publishProxyCA writes the CA into the ConfigMap that Strata follows.
func (c *cluster) publishProxyCA(pem string) {
	c.t.Helper()
	rig.EventuallyWithin(c.t, time.Minute, "the ConfigMap is written", func() error {
		maps := c.client.CoreV1().ConfigMaps("kube-system")
		config, err := maps.Get(context.Background(), "extension-apiserver-authentication", metav1.GetOptions{})
		if err != nil {
			return err
		}
		config.Data["requestheader-client-ca-file"] = pem
		_, err = maps.Update(context.Background(), config, metav1.UpdateOptions{})
		return err
	})
}
