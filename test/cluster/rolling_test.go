package cluster

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"strata/test/rig"
)

// A Service of several pods: new connections go to one that was ready a moment ago, old ones stay where they are.
type service struct {
	c     *cluster
	port  int
	ports []int
	ready []atomic.Bool
	next  atomic.Uint32
}

func (c *cluster) newService(ports ...int) *service {
	c.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	c.check(err)
	s := &service{c: c, port: listener.Addr().(*net.TCPAddr).Port, ports: ports, ready: make([]atomic.Bool, len(ports))}
	ctx, cancel := context.WithCancel(context.Background())
	c.t.Cleanup(cancel)
	for i, port := range ports {
		go func() {
			for ctx.Err() == nil {
				code, _ := c.askOn(port, "/readyz", direct{})
				s.ready[i].Store(code == http.StatusOK)
				time.Sleep(50 * time.Millisecond)
			}
		}()
	}
	rig.Accept(c.t, listener, s.serve)
	return s
}

func (s *service) serve(in net.Conn) {
	defer in.Close()
	for range s.ports {
		i := int(s.next.Add(1)) % len(s.ports)
		if !s.ready[i].Load() {
			continue
		}
		out, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.ports[i]))
		if err != nil {
			continue
		}
		defer out.Close()
		go func() {
			_, _ = io.Copy(out, in)
			_ = out.(*net.TCPConn).CloseWrite()
		}()
		_, _ = io.Copy(in, out)
		return
	}
}

// awaitUse waits until connections are led to a port, as a rollout waits for the new pod to be among the Service's.
func (s *service) awaitUse(port int) {
	s.c.t.Helper()
	i := slices.Index(s.ports, port)
	rig.Eventually(s.c.t, "the service leads to a server that is ready", func() error {
		if !s.ready[i].Load() {
			return fmt.Errorf("not yet")
		}
		return nil
	})
}

// deploy/components/ha: two servers, one restarted after the other. Nobody notices.
func TestARollingRestartIsNotNoticed(t *testing.T) {
	c := newCluster(t)
	c.storeApp()
	second := rig.FreePort(t)
	other := c.startStrataOn(second)
	awaitReady := func(port int) {
		t.Helper()
		rig.EventuallyWithin(t, time.Minute, "Strata is ready", func() error {
			if code, body := c.askOn(port, "/readyz", direct{}); code != 200 {
				return fmt.Errorf("%d %s", code, body)
			}
			return nil
		})
	}
	awaitReady(second)
	pods := c.newService(c.port, second)
	_, err := c.apiServices().ApiregistrationV1().APIServices().Patch(context.Background(), "v1."+group,
		types.MergePatchType, []byte(fmt.Sprintf(`{"spec":{"service":{"port":%d}}}`, pods.port)), metav1.PatchOptions{})
	c.check(err)
	c.awaitLayers("layers through the service")
	c.awaitAvailable()

	end := c.watchAvailability()
	ctx, cancel := context.WithCancel(context.Background())
	var readers sync.WaitGroup
	var reads, failures atomic.Int64
	var failure atomic.Value
	for range 4 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			for ctx.Err() == nil {
				err := c.client.RESTClient().Get().AbsPath(rig.LayersPath(namespace, "app")).Do(context.Background()).Error()
				if reads.Add(1); err != nil {
					failures.Add(1)
					failure.Store(err.Error())
				}
				time.Sleep(5 * time.Millisecond)
			}
		}()
	}
	for range 3 {
		for port, process := range map[int]*rig.Process{c.port: c.strata, second: other} {
			if code := process.Stop(syscall.SIGTERM); code != 0 {
				t.Errorf("exit code %d", code)
			}
			process.Launch()
			awaitReady(port)
			pods.awaitUse(port)
		}
	}
	cancel()
	readers.Wait()
	end(t, "during a rolling restart")
	if failures.Load() > 0 {
		t.Errorf("%d of %d reads failed: %v", failures.Load(), reads.Load(), failure.Load())
	}
	if reads.Load() < 100 {
		t.Errorf("only %d reads", reads.Load())
	}
}
