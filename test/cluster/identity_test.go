package cluster

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strata/test/rig"
)

func (c *cluster) keyPair(certificate, key []byte) *tls.Certificate {
	c.t.Helper()
	pair, err := tls.X509KeyPair(certificate, key)
	c.check(err)
	return &pair
}

// asProxy tells of a user as the aggregator does, with this certificate.
func (c *cluster) asProxy(certificate, key []byte, user string, groups ...string) direct {
	headers := http.Header{"X-Remote-User": {user}}
	for _, group := range groups {
		headers.Add("X-Remote-Group", group)
	}
	return direct{certificate: c.keyPair(certificate, key), headers: headers}
}

func (c *cluster) servingSerial() string {
	c.t.Helper()
	connection, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", c.port), &tls.Config{InsecureSkipVerify: true})
	c.check(err)
	defer connection.Close()
	return connection.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func TestHeadersAreBelievedOfTheAggregatorAlone(t *testing.T) {
	c := newCluster(t)
	c.storeApp()
	path := rig.LayersPath(namespace, "app")
	front, frontKey := c.proxyCA.Client(t, "front-proxy-client")
	other, otherKey := c.proxyCA.Client(t, "somebody-else")
	stranger, strangerKey := rig.NewCA(t, "front-proxy-ca").Client(t, "front-proxy-client")
	client, clientKey := c.ca.Client(t, "front-proxy-client")
	masters := http.Header{"X-Remote-User": {"root"}, "X-Remote-Group": {"system:masters"}}
	odd := http.Header{"x-remote-user": {"root", "puller"}, "X-REMOTE-GROUP": {"system:masters"}}

	cases := []struct {
		name string
		how  direct
		want int
	}{
		{"the aggregator, for who may read", c.asProxy(front, frontKey, "puller"), 200},
		{"the aggregator, for who may not", c.asProxy(front, frontKey, "nobody"), 403},
		{"the aggregator, for a master", c.asProxy(front, frontKey, "x", "system:masters"), 200},
		{"no certificate", direct{headers: masters}, 403},
		{"no certificate, odd case, twice", direct{headers: odd}, 403},
		{"a name that isn't allowed", c.asProxy(other, otherKey, "puller"), 401},
		{"another CA", c.asProxy(stranger, strangerKey, "puller"), 401},
		// It is a user of its own, by the clients' CA, and its headers are nothing.
		{"the clients' CA", c.asProxy(client, clientKey, "root", "system:masters"), 403},
		{"the aggregator, telling nobody", direct{certificate: c.keyPair(front, frontKey)}, 401},
		{"the aggregator, telling a group alone", direct{certificate: c.keyPair(front, frontKey),
			headers: http.Header{"X-Remote-Group": {"system:masters"}}}, 401},
	}
	for _, one := range cases {
		for _, http1 := range []bool{false, true} {
			how := one.how
			how.http1 = http1
			if code, body := c.ask(path, how); code != one.want {
				t.Errorf("%s (HTTP/1.1 %v): want %d, got %d %s", one.name, http1, one.want, code, body)
			}
		}
	}
}

func bearer(token string) direct {
	return direct{headers: http.Header{"Authorization": {"Bearer " + token}}}
}

func TestTokensAreKubeApiserversToJudge(t *testing.T) {
	c := newCluster(t)
	c.storeApp()
	path := rig.LayersPath(namespace, "app")
	for token, want := range map[string]int{"pullertoken": 200, "nobodytoken": 403, "made-up": 401, "": 403} {
		how := bearer(token)
		if token == "" {
			how = direct{}
		}
		if code, body := c.ask(path, how); code != want {
			t.Errorf("token %q: want %d, got %d %s", token, want, code, body)
		}
	}

	t.Run("a service account's", func(t *testing.T) {
		ctx := context.Background()
		rig.EventuallyWithin(t, time.Minute, "the account is there", func() error {
			_, err := c.client.CoreV1().ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{})
			return err
		})
		request, err := c.client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, "default",
			&authenticationv1.TokenRequest{}, metav1.CreateOptions{})
		c.check(err)
		token := request.Status.Token
		if code, body := c.ask(path, bearer(token)); code != 403 {
			t.Errorf("without a binding: %d %s", code, body)
		}
		binding, err := c.client.RbacV1().RoleBindings(namespace).Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "account"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:image-puller"},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: "default", Namespace: namespace}},
		}, metav1.CreateOptions{})
		c.check(err)
		rig.EventuallyWithin(t, 20*time.Second, "the right is seen", func() error { return c.expect(path, token, 200) })
		c.check(c.client.RbacV1().RoleBindings(namespace).Delete(ctx, binding.Name, metav1.DeleteOptions{}))
		// The cache keeps a yes for 10 seconds.
		rig.EventuallyWithin(t, 20*time.Second, "its withdrawal is seen", func() error { return c.expect(path, token, 403) })

		c.check(c.client.CoreV1().ServiceAccounts(namespace).Delete(ctx, "default", metav1.DeleteOptions{}))
		// As long a yes about a token is kept.
		rig.EventuallyWithin(t, 20*time.Second, "the token's end is seen", func() error { return c.expect(path, token, 401) })
	})

	t.Run("in another's name", func(t *testing.T) {
		how := bearer("admintoken")
		how.headers.Set("Impersonate-User", "puller")
		if code, body := c.ask(path, how); code != 200 {
			t.Errorf("admin as puller: %d %s", code, body)
		}
		how.headers.Set("Impersonate-User", "nobody")
		if code, body := c.ask(path, how); code != 403 {
			t.Errorf("admin as nobody: %d %s", code, body)
		}
		how = bearer("pullertoken")
		how.headers.Set("Impersonate-User", "admin")
		how.headers.Set("Impersonate-Group", "system:masters")
		code, body := c.ask(path, how)
		if code != 403 {
			t.Errorf("puller as admin: %d %s", code, body)
		}
		rig.Contains(t, body, `User \"puller\" cannot impersonate resource \"users\"`)
	})
}

func (c *cluster) expect(path, token string, want int) error {
	if code, body := c.ask(path, bearer(token)); code != want {
		return fmt.Errorf("want %d, got %d %s", want, code, body)
	}
	return nil
}

// With --rbac-source=cluster nobody is asked: the roles themselves are followed.
func TestRolesOfTheClusterAreFollowed(t *testing.T) {
	c := newCluster(t, "--authorization-mode=RBAC", "--rbac-source=cluster")
	c.kubectl("admin", "apply", "-f", "../../deploy/components/cluster-rbac/role.yaml")
	c.storeApp()
	path := rig.LayersPath(namespace, "app")
	rig.EventuallyWithin(t, time.Minute, "the binding is seen", func() error { return c.expect(path, "pullertoken", 200) })
	if err := c.expect(path, "nobodytoken", 403); err != nil {
		t.Error(err)
	}
	c.check(c.client.RbacV1().RoleBindings(namespace).Delete(context.Background(), "pullers", metav1.DeleteOptions{}))
	rig.EventuallyWithin(t, 20*time.Second, "its deletion is seen", func() error { return c.expect(path, "pullertoken", 403) })
}

// With kube-apiserver's keys at hand nobody is asked whether a service account's token is good.
func TestServiceAccountTokensAreVerifiedHere(t *testing.T) {
	c := newCluster(t, "--service-account-key-file=sa.pub", "--service-account-issuer=https://kubernetes.default.svc",
		"--api-audiences=https://kubernetes.default.svc,strata")
	c.storeApp()
	ctx := context.Background()
	path := rig.LayersPath(namespace, "app")
	_, err := c.client.RbacV1().RoleBindings(namespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "account"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:image-puller"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: "default", Namespace: namespace}},
	}, metav1.CreateOptions{})
	c.check(err)
	rig.EventuallyWithin(t, time.Minute, "the account is there", func() error {
		_, err := c.client.CoreV1().ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
	token := func(audience string) string {
		request, err := c.client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, "default",
			&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}}},
			metav1.CreateOptions{})
		c.check(err)
		return request.Status.Token
	}
	for audience, want := range map[string]int{"https://kubernetes.default.svc": 200, "strata": 200, "vault": 401} {
		if err := c.expect(path, token(audience), want); err != nil {
			t.Errorf("audience %s: %v", audience, err)
		}
	}
	_, metrics := c.ask("/metrics", bearer("admintoken"))
	rig.Contains(t, metrics, `strata_review_cache_requests_total{cache="service_account_token",result="miss"}`)
}
