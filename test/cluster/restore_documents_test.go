package cluster

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strata/test/rig"
)

// finish runs the containers of a Job's pod, one after the other.
func (n *nodes) finish(it *corev1.Pod) {
	n.c.t.Helper()
	if it.Status.Phase != corev1.PodPending {
		return
	}
	it.Status.Phase = corev1.PodSucceeded
	for _, container := range slices.Concat(it.Spec.InitContainers, it.Spec.Containers) {
		folders, ok := n.mount(it, container)
		if !ok {
			return
		}
		var args []string
		for _, arg := range container.Args {
			args = append(args, inFolders(folders, strings.ReplaceAll(arg, "$(POD_NAME)", it.Name)))
		}
		out, err := exec.Command(n.program(filepath.Base(container.Command[0])), args...).CombinedOutput()
		n.c.t.Logf("%s, %s: %v: %s", it.Name, container.Name, err, out)
		if err != nil {
			it.Status.Phase = corev1.PodFailed
			break
		}
	}
	_, err := n.c.client.CoreV1().Pods("strata").UpdateStatus(context.Background(), it, metav1.UpdateOptions{})
	n.c.check(err)
}

// awaitJob does what nodes do until the Job is complete.
func (r *reader) awaitJob(name string) {
	r.t.Helper()
	rig.Eventually(r.t, "job "+name+" is complete", func() error {
		r.nodes.work()
		job, err := r.client.BatchV1().Jobs("strata").Get(context.Background(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(job.Status.Conditions, func(is batchv1.JobCondition) bool {
			return is.Type == batchv1.JobComplete && is.Status == corev1.ConditionTrue
		}) {
			return fmt.Errorf("%+v", job.Status)
		}
		return nil
	})
}

var (
	backUp = section{operations, "Back up", []func(*reader, string){
		func(r *reader, _ string) { r.awaitJob("strata-backup-now") },
	}}
	restoreOnACluster = section{operations, "Restore on a cluster", []func(*reader, string){
		func(r *reader, _ string) {
			rig.Eventually(r.t, "the store has ended", func() error {
				r.nodes.work()
				if out := r.kubectl("admin", "get", "pods", "-n", "strata", "-o", "name"); strings.Contains(out, "storage") {
					return fmt.Errorf("%s", out)
				}
				return nil
			})
		},
		func(r *reader, _ string) { r.awaitJob("strata-restore") },
		func(r *reader, _ string) { r.nodes.settle() },
	}}
)

func TestAStoreIsRestoredOnAClusterAsDocumented(t *testing.T) {
	if !rig.InOwnNetwork(t) {
		return
	}
	r := newReader(t)
	r.defineCertManager()
	r.follow(plainCluster, backUp)
	read := func() (string, error) { return r.tryKubectl("admin", "get", "--raw", rig.LayersPath("demo", "nodejs")) }
	want, err := read()
	r.check(err)
	r.loseTheStream()
	rig.Eventually(t, "the stream is lost", func() error {
		if out, err := read(); err == nil {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	r.follow(restoreOnACluster)
	rig.Eventually(t, "the snapshot's records are served", func() error {
		if got, err := read(); err != nil || got != want {
			return fmt.Errorf("%v: %s", err, got)
		}
		return nil
	})
}

// loseTheStream deletes a record that the snapshot has.
func (r *reader) loseTheStream() {
	r.t.Helper()
	secret, err := r.client.CoreV1().Secrets("strata").Get(context.Background(), "strata-storage-tls", metav1.GetOptions{})
	r.check(err)
	flags := []string{"--endpoints=https://strata-storage:2379", "del", rig.StreamKey("demo", "nodejs")}
	for name, flag := range map[string]string{"ca.crt": "--cacert=", "tls.crt": "--cert=", "tls.key": "--key="} {
		flags = append(flags, flag+r.write("storage-"+name, secret.Data[name]))
	}
	if out, err := exec.Command(rig.Peer(r.t, "etcdctl"), flags...).CombinedOutput(); err != nil || string(out) != "1\n" {
		r.t.Fatalf("etcdctl: %v: %s", err, out)
	}
}
