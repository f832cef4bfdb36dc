package cluster

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	imagev1 "github.com/openshift/api/image/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strata/test/rig"
)

func (c *cluster) createNamespace(name string) {
	c.t.Helper()
	_, err := c.client.CoreV1().Namespaces().Create(context.Background(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	c.check(err)
}

func (c *cluster) createConfigMap(namespace, name string, owners ...metav1.OwnerReference) (*corev1.ConfigMap, error) {
	return c.client.CoreV1().ConfigMaps(namespace).Create(context.Background(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: owners}}, metav1.CreateOptions{})
}

// awaitGone: the garbage collector has deleted a ConfigMap.
func (c *cluster) awaitGone(namespace, name string) {
	c.t.Helper()
	rig.EventuallyWithin(c.t, time.Minute, name+" is collected", func() error {
		_, err := c.client.CoreV1().ConfigMaps(namespace).Get(context.Background(), name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is there, or %v", err)
	})
}

// Controllers look at every group that they discover, and one that they can't work with stops them for all others.
func TestControllersLiveWithTheGroups(t *testing.T) {
	c := newCluster(t)
	c.awaitLayersGroup()
	ctx := context.Background()
	c.storeApp()
	// They ask seldom which groups there are: they begin when ours are there.
	var said bytes.Buffer
	c.controllers.Stop(syscall.SIGTERM)
	c.controllers.LaunchWith(&said)

	t.Run("the quota controller counts", func(t *testing.T) {
		_, err := c.client.CoreV1().ResourceQuotas(namespace).Create(ctx, &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Name: "few"},
			Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/configmaps": resource.MustParse("4")}},
		}, metav1.CreateOptions{})
		c.check(err)
		rig.EventuallyWithin(t, time.Minute, "the quota's use is known", func() error {
			quota, err := c.client.CoreV1().ResourceQuotas(namespace).Get(ctx, "few", metav1.GetOptions{})
			if used := quota.Status.Used["count/configmaps"]; err != nil || used.Value() != 1 { // kube-root-ca.crt
				return fmt.Errorf("%v %v", quota.Status, err)
			}
			return nil
		})
	})

	t.Run("the garbage collector collects", func(t *testing.T) {
		owner, err := c.createConfigMap(namespace, "owner")
		c.check(err)
		_, err = c.createConfigMap(namespace, "owned",
			metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID})
		c.check(err)
		c.check(c.client.CoreV1().ConfigMaps(namespace).Delete(ctx, owner.Name, metav1.DeleteOptions{}))
		c.awaitGone(namespace, "owned")
	})

	t.Run("the garbage collector asks for a stream that owns something", func(t *testing.T) {
		c.store(rig.StreamKey(namespace, "owner"), rig.Encode(t, "ImageStream",
			&imagev1.ImageStream{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "owner", UID: "of-the-owner"}}))
		for name, owner := range map[string]string{"of-stream": "owner", "of-nothing": "nope"} {
			_, err := c.createConfigMap(namespace, name,
				metav1.OwnerReference{APIVersion: group + "/v1", Kind: "ImageStream", Name: owner, UID: "of-the-owner"})
			c.check(err)
		}
		c.awaitGone(namespace, "of-nothing")
		_, err := c.client.CoreV1().ConfigMaps(namespace).Get(ctx, "of-stream", metav1.GetOptions{})
		c.check(err)
	})

	t.Run("a namespace with streams is deleted", func(t *testing.T) {
		c.createNamespace("doomed")
		c.store(rig.StreamKey("doomed", "app"), rig.StreamValue(t, "doomed", "app", rig.Digest(1)))
		_, err := c.createConfigMap("doomed", "content")
		c.check(err)
		c.check(c.client.CoreV1().Namespaces().Delete(ctx, "doomed", metav1.DeleteOptions{}))
		rig.EventuallyWithin(t, time.Minute, "the namespace is gone", func() error {
			found, err := c.client.CoreV1().Namespaces().Get(ctx, "doomed", metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return nil
			}
			return fmt.Errorf("%v %v", found.Status, err)
		})
		// Nobody may delete through us what belongs to another server: its record stays.
		if out := c.kubectl("admin", "get", "imagestreams", "-n", "doomed"); !strings.Contains(out, "app") {
			t.Errorf("got %s", out)
		}
	})

	c.controllers.Stop(syscall.SIGTERM)
	complaint := regexp.MustCompile(`(?m)^[EWF]\d{4} .*(image\.openshift\.io|imagestream|strata).*$`)
	if found := complaint.FindAllString(said.String(), 5); found != nil {
		t.Errorf("kube-controller-manager complains:\n%s", strings.Join(found, "\n"))
	}
}
