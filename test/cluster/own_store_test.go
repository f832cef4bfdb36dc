package cluster

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"strata/test/rig"
)

const maps = 1000

// A day in the life of a kube-apiserver's store: a namespace, a thousand ConfigMaps made, changed and watched by an
// informer, an event with a lease, a compaction, a restart of store and server, everything deleted.
func (c *cluster) live() {
	c.t.Helper()
	ctx := context.Background()
	_, err := c.client.CoreV1().Namespaces().Create(ctx,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "life"}}, metav1.CreateOptions{})
	c.check(err)

	var mu sync.Mutex
	seen := map[string]string{} // the value that the informer has of each
	deleted := 0
	factory := informers.NewSharedInformerFactoryWithOptions(c.client, 0, informers.WithNamespace("life"))
	informer := factory.Core().V1().ConfigMaps().Informer()
	take := func(object any) {
		config := object.(*corev1.ConfigMap)
		mu.Lock()
		seen[config.Name] = config.Data["value"]
		mu.Unlock()
	}
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    take,
		UpdateFunc: func(_, now any) { take(now) },
		DeleteFunc: func(any) { mu.Lock(); deleted++; mu.Unlock() },
	})
	c.check(err)
	stop := make(chan struct{})
	factory.Start(stop)
	factory.WaitForCacheSync(stop)

	client := c.client.CoreV1().ConfigMaps("life")
	each := func(what string, act func(name string) error) {
		c.t.Helper()
		work, failures := make(chan string), make(chan error, maps)
		var workers sync.WaitGroup
		for range 16 {
			workers.Add(1)
			go func() {
				defer workers.Done()
				for name := range work {
					if err := act(name); err != nil {
						failures <- err
					}
				}
			}()
		}
		for i := range maps {
			work <- fmt.Sprintf("map-%04d", i)
		}
		close(work)
		workers.Wait()
		close(failures)
		for err := range failures {
			c.t.Fatalf("%s: %v", what, err)
		}
	}
	awaitValues := func(want string) {
		c.t.Helper()
		rig.EventuallyWithin(c.t, time.Minute, "the informer has "+want, func() error {
			mu.Lock()
			defer mu.Unlock()
			right := 0
			for _, value := range seen {
				if value == want {
					right++
				}
			}
			if right != maps {
				return fmt.Errorf("%d of %d", right, maps)
			}
			return nil
		})
	}
	each("create", func(name string) error {
		_, err := client.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name},
			Data: map[string]string{"value": "first"}}, metav1.CreateOptions{})
		return err
	})
	awaitValues("first")
	each("update", func(name string) error {
		config, err := client.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		config.Data["value"] = "second"
		_, err = client.Update(ctx, config, metav1.UpdateOptions{})
		return err
	})
	awaitValues("second")
	_, err = c.client.CoreV1().Events("life").Create(ctx, &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: "e"},
		InvolvedObject: corev1.ObjectReference{Kind: "ConfigMap", Namespace: "life", Name: "map-0001"},
	}, metav1.CreateOptions{})
	c.check(err)

	etcd := c.etcd.Client(c.t)
	status, err := etcd.Get(ctx, "/", clientv3.WithCountOnly())
	c.check(err)
	_, err = etcd.Compact(ctx, status.Header.Revision, clientv3.WithCompactPhysical())
	c.check(err)

	c.kube.Stop(syscall.SIGKILL)
	c.etcd.Stop(syscall.SIGKILL)
	c.etcd.Launch()
	c.etcd.Client(c.t)
	c.kube.Launch()
	c.awaitKube()
	list, err := client.List(ctx, metav1.ListOptions{Limit: 300})
	c.check(err)
	found := len(list.Items)
	for list.Continue != "" {
		list, err = client.List(ctx, metav1.ListOptions{Limit: 300, Continue: list.Continue})
		c.check(err)
		found += len(list.Items)
	}
	if found != maps+1 { // and kube-root-ca.crt
		c.t.Errorf("%d ConfigMaps after the restart", found)
	}
	each("update after the restart", func(name string) error {
		_, err := client.Patch(ctx, name, "application/merge-patch+json", []byte(`{"data":{"value":"third"}}`),
			metav1.PatchOptions{})
		return err
	})
	awaitValues("third")
	c.check(client.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}))
	rig.EventuallyWithin(c.t, time.Minute, "the informer saw them go", func() error {
		mu.Lock()
		defer mu.Unlock()
		if deleted < maps {
			return fmt.Errorf("%d", deleted)
		}
		return nil
	})
	close(stop)
	c.check(c.client.CoreV1().Namespaces().Delete(ctx, "life", metav1.DeleteOptions{}))
	rig.EventuallyWithin(c.t, time.Minute, "the namespace is gone", func() error {
		_, err := c.client.CoreV1().Namespaces().Get(ctx, "life", metav1.GetOptions{})
		if err == nil {
			return fmt.Errorf("still there")
		}
		return nil
	})
}

var (
	errorLine = regexp.MustCompile(`^E\d{4} \S+ +\d+ ([^\]]+)\] (.*)$`)
	varying   = regexp.MustCompile(`\d+|[0-9a-f]{8}-[0-9a-f-]{27}|/tmp/\S+`)
)

// errors are the error lines of kube-apiserver's log, one of each kind: where it comes from, without numbers.
func errors(log string) map[string]string {
	kinds := map[string]string{}
	for _, line := range strings.Split(log, "\n") {
		if match := errorLine.FindStringSubmatch(line); match != nil {
			kinds[varying.ReplaceAllString(match[1], "")] = line
		}
	}
	return kinds
}

// kube-apiserver lives on our store as it does on etcd, and complains of nothing that it wouldn't there.
func TestKubeApiserverLivesOnOurStore(t *testing.T) {
	lifeOn := func(backend string) (said map[string]string) {
		t.Run(backend, func(t *testing.T) {
			c := newControlPlane(t, backend)
			c.live()
			c.kube.Stop(syscall.SIGKILL)
			said = errors(c.kube.Output())
		})
		return said
	}
	onlyOurs := lifeOn("strata-storage")
	remove := func(removed func(kind string) bool) {
		for kind := range onlyOurs {
			if removed(kind) {
				delete(onlyOurs, kind)
			}
		}
	}
	known := func(on map[string]string) func(kind string) bool {
		return func(kind string) bool { _, known := on[kind]; return known }
	}
	remove(known(lifeOn("etcd-3.6")))
	if len(onlyOurs) > 0 && !t.Failed() {
		// Chance decides of some: ours are those that come again, and never on etcd.
		t.Logf("once more: %v", onlyOurs)
		again := known(lifeOn("strata-storage"))
		remove(func(kind string) bool { return !again(kind) })
		remove(known(lifeOn("etcd-3.6")))
	}
	for _, line := range onlyOurs {
		t.Errorf("only on our store: %s", line)
	}
}
