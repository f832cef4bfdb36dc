package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"

	"strata/test/rig"
)

func (c *cluster) awaitLayersGroup() {
	c.t.Helper()
	rig.EventuallyWithin(c.t, time.Minute, "the group of our own is discovered", func() error {
		_, err := c.client.Discovery().ServerResourcesForGroupVersion(layersGroup + "/v1alpha1")
		return err
	})
}

// What users see of it: tables, explanations, and nothing that isn't theirs.
func TestTheGroupOfOurOwnThroughTheAggregator(t *testing.T) {
	c := newCluster(t)
	c.awaitLayersGroup()
	c.storeApp()
	c.store(rig.ImageKey(rig.Digest(2)), rig.ImageValue(t, rig.Digest(2), rig.Digest(11), rig.Digest(13)))
	c.store(rig.StreamKey("shop", "web"), rig.StreamValue(t, "shop", "web", rig.Digest(2), rig.Digest(3)))
	rig.EventuallyWithin(t, 2*time.Minute, "the schemas are merged", func() error {
		if out, err := c.tryKubectl("nobody", "explain", "layerusages"); err != nil {
			return fmt.Errorf("%v: %s", err, out)
		}
		return nil
	})
	for _, one := range []struct {
		user string
		args []string
		want []string
	}{
		{"admin", []string{"get", "layerusages", "-A"}, []string{
			"NAMESPACE NAME STREAMS IMAGES LAYERS SIZE UNIQUE SHARED MISSING UNREADABLE",
			"demo demo 1 1 2 20B 10B 10B 0 0", "shop shop 1 1 2 20B 10B 10B 1 0"}},
		{"admin", []string{"get", "isl", "-A"}, []string{"demo app 1 2 20B 0", "shop web 1 2 20B 1"}},
		{"admin", []string{"get", "imagelayers"}, []string{rig.Digest(1) + " 2 20B demo/app:latest",
			rig.Digest(2) + " 2 20B shop/web:latest"}},
		{"admin", []string{"get", "blobs", rig.Digest(11)}, []string{rig.Digest(11) + " 10B " +
			"application/vnd.docker.image.rootfs.diff.tar.gzip 2 2"}},
		// Of a layer that both namespaces have he is told of the one in his.
		{"puller", []string{"get", "blobs", rig.Digest(11)}, []string{rig.Digest(11) + " 10B " +
			"application/vnd.docker.image.rootfs.diff.tar.gzip 1 1"}},
		{"puller", []string{"get", "imagelayers", rig.Digest(1), "-o", "jsonpath={.streams[0].name}"}, []string{"app"}},
		{"nobody", []string{"explain", "imagelayers.streams.tags"}, []string{"The tags whose newest image it is."}},
	} {
		// Columns, however wide they are.
		out := strings.Join(strings.FieldsFunc(c.kubectl(one.user, one.args...), func(r rune) bool { return r == ' ' }), " ")
		rig.Contains(t, out, one.want...)
	}
	for _, one := range []struct {
		user string
		args []string
		want string
	}{
		{"puller", []string{"get", "blobs", rig.Digest(13)}, "not found"},
		{"nobody", []string{"get", "blobs", rig.Digest(11)}, "not found"},
		{"puller", []string{"get", "imagelayers", rig.Digest(2)}, "not found"},
		{"puller", []string{"get", "imagelayers"}, "Forbidden"},
		{"nobody", []string{"get", "isl", "-n", namespace}, "Forbidden"},
		{"admin", []string{"get", "blobs"}, "the server could not find the requested resource"},
	} {
		if out, err := c.tryKubectl(one.user, one.args...); err == nil || !strings.Contains(out, one.want) {
			t.Errorf("%s, kubectl %v: %v %s", one.user, one.args, err, out)
		}
	}

	// Who views a namespace sees its layers; lists of all images want more than their own right.
	c.kubectl("admin", "create", "rolebinding", "viewer", "-n", namespace, "--clusterrole=view", "--user=nobody")
	c.kubectl("admin", "create", "clusterrole", "lister", "--verb=list", "--resource=imagelayers."+layersGroup)
	c.kubectl("admin", "create", "clusterrolebinding", "lister", "--clusterrole=lister", "--user=nobody")
	rig.EventuallyWithin(t, time.Minute, "the roles are aggregated, and what was refused is forgotten", func() error {
		out, err := c.tryKubectl("nobody", "get", "isl,layerusages", "-n", namespace)
		if err != nil || !strings.Contains(out, "app") {
			return fmt.Errorf("%v %s", err, out)
		}
		return nil
	})
	rig.EventuallyWithin(t, time.Minute, "a list needs all namespaces", func() error {
		out, err := c.tryKubectl("nobody", "get", "imagelayers")
		if err == nil || !strings.Contains(out, "in all namespaces is shown everything") {
			return fmt.Errorf("%v %s", err, out)
		}
		return nil
	})
}

// Informers end with what lists have, whatever was written meanwhile: streams change with their images.
func TestInformersOfLayersFollowStreamsAndImages(t *testing.T) {
	c := newCluster(t)
	c.awaitLayersGroup()
	client := dynamic.NewForConfigOrDie(c.config)
	factory := dynamicinformer.NewDynamicSharedInformerFactory(client, 0)
	resources := map[string]cache.SharedIndexInformer{}
	for _, name := range []string{"imagestreamlayers", "imagelayers"} {
		resources[name] = factory.ForResource(
			schema.GroupVersionResource{Group: layersGroup, Version: "v1alpha1", Resource: name}).Informer()
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())

	etcd, random := c.records.Client(t), rand.New(rand.NewSource(7))
	for n := 0; n < 500; n++ {
		image, key := rig.Digest(random.Intn(12)), rig.StreamKey(namespace, fmt.Sprintf("app-%d", random.Intn(6)))
		var err error
		switch random.Intn(6) {
		case 0:
			_, err = etcd.Delete(ctx, rig.ImageKey(image))
		case 1:
			_, err = etcd.Delete(ctx, key)
		case 2, 3:
			_, err = etcd.Put(ctx, rig.ImageKey(image),
				rig.ImageValue(t, image, rig.Digest(100+random.Intn(3)), rig.Digest(200+random.Intn(9))))
		default:
			_, err = etcd.Put(ctx, key, rig.StreamValue(t, namespace, key[strings.LastIndex(key, "/")+1:], image,
				rig.Digest(random.Intn(12))))
		}
		c.check(err)
		if n == 250 {
			c.strata.Stop(15)
			c.strata.Launch()
		}
	}
	for name, informer := range resources {
		resource := client.Resource(schema.GroupVersionResource{Group: layersGroup, Version: "v1alpha1", Resource: name})
		rig.EventuallyWithin(t, time.Minute, name+": the informer has what a list has", func() error {
			list, err := resource.List(ctx, metav1.ListOptions{})
			if err != nil {
				return err
			}
			listed, known := map[string]string{}, map[string]string{}
			for i := range list.Items {
				listed[list.Items[i].GetNamespace()+"/"+list.Items[i].GetName()] = contentOf(t, &list.Items[i])
			}
			for _, object := range informer.GetStore().List() {
				one := object.(*unstructured.Unstructured)
				known[one.GetNamespace()+"/"+one.GetName()] = contentOf(t, one)
			}
			if fmt.Sprint(listed) != fmt.Sprint(known) {
				return fmt.Errorf("listed %v, known %v", listed, known)
			}
			return nil
		})
	}
}

// contentOf is an object without its revision: imagelayers' is that of the answer.
func contentOf(t *testing.T, object *unstructured.Unstructured) string {
	t.Helper()
	object = object.DeepCopy()
	object.SetResourceVersion("")
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
