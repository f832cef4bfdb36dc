package cluster

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// A store with an alarm, or that refuses writes, isn't ready, and serves what it can: there is no other one to ask.
func TestAStoreThatIsNotReadyIsStillFound(t *testing.T) {
	stores := 0
	eachInstallation(t, func(t *testing.T, manifests string) {
		for name, service := range of[corev1.Service](t, manifests, "Service") {
			if service.Spec.ClusterIP != corev1.ClusterIPNone {
				continue
			}
			stores++
			if !service.Spec.PublishNotReadyAddresses {
				t.Errorf("%s has no address while it isn't ready", name)
			}
		}
	})
	if stores < 3 {
		t.Errorf("%d stores", stores)
	}
}

// Answers take up to twice what they are counted as, and the rest of the store has its room beside them.
func TestAStoresAnswersFitIntoItsMemory(t *testing.T) {
	stores := 0
	eachInstallation(t, func(t *testing.T, manifests string) {
		store, found := of[appsv1.StatefulSet](t, manifests, "StatefulSet")["strata-storage"]
		if !found {
			return
		}
		stores++
		container := store.Spec.Template.Spec.Containers[0]
		limit := container.Resources.Limits.Memory().Value()
		answers := int64(2 << 30)
		for _, arg := range container.Args {
			if value, is := strings.CutPrefix(arg, "--max-response-bytes-inflight="); is {
				var err error
				if answers, err = strconv.ParseInt(value, 10, 64); err != nil {
					t.Fatal(err)
				}
			}
		}
		if free := container.Resources.Requests.Memory().Value(); 2*answers+free > limit {
			t.Errorf("answers take %d bytes, and the rest of it %d, of %d", 2*answers, free, limit)
		}
	})
	if stores < 2 {
		t.Errorf("%d stores", stores)
	}
}

// Of the pods of an installation no others than servers and backups may ask a store for its records.
func TestAStoreIsReachedByItsClientsAlone(t *testing.T) {
	stores := 0
	eachInstallation(t, func(t *testing.T, manifests string) {
		for name := range of[appsv1.StatefulSet](t, manifests, "StatefulSet") {
			stores++
			policy, found := of[networkingv1.NetworkPolicy](t, manifests, "NetworkPolicy")[name]
			if !found {
				t.Fatalf("%s has no policy", name)
			}
			var may []string
			for _, rule := range policy.Spec.Ingress {
				if rule.Ports[0].Port.StrVal != "client" {
					continue
				}
				for _, from := range rule.From {
					may = append(may, from.PodSelector.MatchLabels["app.kubernetes.io/component"])
				}
			}
			if !slices.Equal(may, []string{"apiserver", "backup"}) {
				t.Errorf("%s is reached by %q", name, may)
			}
		}
	})
	if stores < 3 {
		t.Errorf("%d stores", stores)
	}
}
