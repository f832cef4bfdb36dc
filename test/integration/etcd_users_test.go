package integration

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"strata/test/rig"
)

// toolAs is what the tool says as a user, whose password is in a file of that name.
func (id *identity) toolAs(t *testing.T, b *rig.Backend, user string) (string, error) {
	t.Helper()
	out, err := exec.Command(rig.Strata(t, "strata-storage"), "dump", "--etcd-servers="+b.URL, "--etcd-username="+user,
		"--etcd-password-file="+id.path(user)).CombinedOutput()
	return string(out), err
}

// enableUsers has an etcd refuse everybody but root, and strata, who may read the records alone.
func enableUsers(t *testing.T, c *clientv3.Client, rootPassword, password string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
	defer cancel()
	for _, do := range []func() error{
		func() error { _, err := c.UserAdd(ctx, "root", rootPassword); return err },
		func() error { _, err := c.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := c.RoleAdd(ctx, "records"); return err },
		func() error {
			_, err := c.RoleGrantPermission(ctx, "records", "/openshift.io/", clientv3.GetPrefixRangeEnd("/openshift.io/"),
				clientv3.PermissionType(clientv3.PermRead))
			return err
		},
		func() error { _, err := c.UserAdd(ctx, "strata", password); return err },
		func() error { _, err := c.UserGrantRole(ctx, "strata", "records"); return err },
		func() error { _, err := c.AuthEnable(ctx); return err },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
}

// Both programs are let in by the right password, also when etcd has forgotten the tokens that it gave; by another one
// they aren't, and say so. The server reads its file at the start.
func TestAnEtcdWithUsersLetsInWhoHasThePassword(t *testing.T) {
	const refused = "authentication failed, invalid user ID or password"
	b := rig.StartBackend(t, "etcd-3.6")
	c := b.Client(t)
	rig.Put(t, c, rig.StreamKey("demo", "web"), rig.StreamValue(t, "demo", "web", rig.Digest(1)))
	enableUsers(t, c, "roots", "first")
	id := newIdentity(t)
	id.write(t, "root", []byte("roots\n"))
	id.write(t, "strata", []byte("first\n"))
	s := startServerAs(t, id, "--etcd-servers="+b.URL, "--etcd-username=strata", "--etcd-password-file="+id.path("strata"),
		"--rbac-file="+id.path("rbac.yaml"))
	rig.Contains(t, s.layers(t, "demo", "web"), rig.Digest(1))
	for _, user := range []string{"root", "strata"} {
		out, err := id.toolAs(t, b, user)
		if err != nil {
			t.Errorf("the tool as %s: %v", user, err)
		}
		rig.Contains(t, out, rig.Digest(1))
	}

	b.Stop(syscall.SIGKILL)
	b.Launch()
	rig.Eventually(t, "reads go on with another token", s.readsStream)
	root, err := clientv3.New(clientv3.Config{Endpoints: []string{b.URL}, DialTimeout: rig.Patience, Username: "root",
		Password: "roots", Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	rig.Put(t, root, rig.StreamKey("demo", "web"), rig.StreamValue(t, "demo", "web", rig.Digest(2)))
	rig.Contains(t, s.layers(t, "demo", "web"), rig.Digest(2))

	id.write(t, "root", []byte("guess\n"))
	if out, err := id.toolAs(t, b, "root"); err == nil || !strings.Contains(out, "strata-storage: --etcd-servers: etcd "+b.URL+": etcdserver: "+refused) {
		t.Errorf("the tool with another password: %v, %s", err, out)
	}
	ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
	defer cancel()
	if _, err := root.UserChangePassword(ctx, "strata", "second"); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "the old password lets nobody read", func() error {
		if code, body := s.get(rig.LayersPath("demo", "web"), adminToken); code != 504 {
			return fmt.Errorf("%d %s", code, body)
		}
		return nil
	})
	id.write(t, "strata", []byte("second\n"))
	s.Stop(syscall.SIGTERM)
	rig.Contains(t, s.Output(), `"The storage backend can't be used; trying again"`, refused)
	s.Launch()
	s.awaitReady(t)
	rig.Contains(t, s.layers(t, "demo", "web"), rig.Digest(2))
}
