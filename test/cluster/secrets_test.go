package cluster

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	imageclient "github.com/openshift/client-go/image/clientset/versioned/typed/image/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strata/test/rig"
)

func (c *cluster) createSecret(name string, kind corev1.SecretType, key string, annotations map[string]string) {
	c.t.Helper()
	_, err := c.client.CoreV1().Secrets(namespace).Create(context.Background(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations, Labels: map[string]string{"for": "test"}},
		Type:       kind, Data: map[string][]byte{key: []byte(`{"auths":{}}`), "bytes": {0, 0xff}}, Immutable: new(bool),
	}, metav1.CreateOptions{})
	c.check(err)
}

// letSeeSecrets gives a user the right to a namespace's secrets for pulling, and no other.
func (c *cluster) letSeeSecrets(user string) {
	c.t.Helper()
	_, err := c.client.RbacV1().RoleBindings(namespace).Create(context.Background(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user + "-sees-secrets"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "strata:pull-secret-viewer"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	}, metav1.CreateOptions{})
	c.check(err)
}

func TestSecretsForPullingAreReadByTheServersOwnRights(t *testing.T) {
	c := newCluster(t, "--enable-secrets")
	ctx := context.Background()
	exclude := "openshift.io/image.excludeSecret"
	c.createSecret("docker-config", corev1.SecretTypeDockerConfigJson, corev1.DockerConfigJsonKey, nil)
	c.createSecret("excluded", corev1.SecretTypeDockerConfigJson, corev1.DockerConfigJsonKey, map[string]string{exclude: "true"})
	c.createSecret("included", corev1.SecretTypeDockercfg, corev1.DockerConfigKey, map[string]string{exclude: "false"})
	c.createSecret("opaque", corev1.SecretTypeOpaque, "password", nil)
	c.createSecret("somebodys", "example.com/dockercfg", "password", nil)
	path := "/apis/" + group + "/v1/namespaces/" + namespace + "/imagestreams/any/secrets"

	t.Run("whom kube-apiserver lets list nothing, says so", func(t *testing.T) {
		out, err := c.tryKubectl("admin", "get", "--raw", path)
		if err == nil {
			t.Errorf("listed without a right: %s", out)
		}
		rig.Contains(t, out, "secrets can't be read", `User "system:serviceaccount:strata:strata-apiserver" cannot list`)
	})
	c.kubectl("admin", "apply", "-f", "../../deploy/components/secrets/role.yaml")
	c.letSeeSecrets("puller")
	rig.EventuallyWithin(t, time.Minute, "the rights count", func() error {
		out, err := c.tryKubectl("puller", "get", "--raw", path)
		if err != nil {
			return fmt.Errorf("%v: %s", err, out)
		}
		return nil
	})

	t.Run("they are kube-apiserver's", func(t *testing.T) {
		want := []corev1.Secret{}
		all, err := c.client.CoreV1().Secrets(namespace).List(ctx, metav1.ListOptions{})
		c.check(err)
		for _, secret := range all.Items {
			if secret.Name == "docker-config" || secret.Name == "included" {
				want = append(want, secret)
			}
		}
		for _, form := range []string{"application/json", "application/vnd.kubernetes.protobuf"} {
			config := c.configOf("puller")
			config.ContentType = form
			client, err := imageclient.NewForConfig(config)
			c.check(err)
			got, err := client.ImageStreams(namespace).Secrets(ctx, "any", metav1.GetOptions{})
			c.check(err)
			if !reflect.DeepEqual(got.Items, want) || len(want) != 2 {
				t.Errorf("%s: got %v, want %v", form, got.Items, want)
			}
			if got.ResourceVersion == "" {
				t.Errorf("%s: no resourceVersion", form)
			}
			empty, err := client.ImageStreams(namespace).Secrets(ctx, "any", metav1.GetOptions{ResourceVersion: "0"})
			if !apierrors.IsBadRequest(err) {
				t.Errorf("%s: want BadRequest, got %v and %v", form, err, empty)
			}
			_, err = client.ImageStreams("strata").Secrets(ctx, "any", metav1.GetOptions{})
			if !apierrors.IsForbidden(err) {
				t.Errorf("%s: want Forbidden in another namespace, got %v", form, err)
			}
		}
	})

	t.Run("only that right counts", func(t *testing.T) {
		out, err := c.tryKubectl("nobody", "get", "--raw", path)
		if err == nil {
			t.Errorf("nobody may read: %s", out)
		}
		rig.Contains(t, out, `User "nobody" cannot get resource "imagestreams/secrets"`)
		out, _ = c.tryKubectl("puller", "auth", "can-i", "list", "secrets", "-n", namespace)
		if !strings.HasPrefix(out, "no") {
			t.Errorf("may puller list secrets? %s", out)
		}
	})

	t.Run("discovery names them where they are served", func(t *testing.T) {
		served := func(path string, port int) (int, string) {
			return c.askOn(port, path, direct{headers: http.Header{"Authorization": {"Bearer admintoken"}}})
		}
		without := rig.FreePort(t)
		c.startStrataOn(without)
		rig.EventuallyWithin(t, time.Minute, "the other server is ready", func() error {
			if code, body := served("/readyz", without); code != 200 {
				return fmt.Errorf("%d %s", code, body)
			}
			return nil
		})
		for port, wanted := range map[int]int{c.port: 200, without: 404} {
			if code, body := served(path, port); code != wanted {
				t.Errorf("want %d, got %d %s", wanted, code, body)
			}
			for _, document := range []string{"/apis/" + group + "/v1", "/openapi/v3/apis/" + group + "/v1"} {
				code, body := served(document, port)
				if code != 200 || strings.Contains(body, "SecretList") != (wanted == 200) {
					t.Errorf("%d: %s of a server that answers %d", code, document, wanted)
				}
			}
		}
	})
}
