package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"strata/test/rig"
)

// define applies another's definitions and waits until their kinds are discovered: who follows a document has had them
// for long.
func (c *cluster) define(whose string, kinds ...string) {
	c.t.Helper()
	c.kubectl("admin", "apply", "--server-side", "-f", rig.Peer(c.t, whose+".yaml"))
	rig.EventuallyWithin(c.t, time.Minute, "kinds of "+whose+" are discovered", func() error {
		// Aggregated, as kubectl asks: that document follows the definitions later than the group's own.
		_, lists, err := c.client.Discovery().ServerGroupsAndResources()
		if err != nil {
			return err
		}
		found := map[string]bool{}
		for _, list := range lists {
			for _, resource := range list.APIResources {
				found[list.GroupVersion+" "+resource.Kind] = true
			}
		}
		for _, kind := range kinds {
			if !found[kind] {
				return fmt.Errorf("no %s among %d kinds", kind, len(found))
			}
		}
		return nil
	})
}

func (c *cluster) defineCertManager() {
	c.t.Helper()
	c.define("cert-manager", "cert-manager.io/v1 Certificate", "cert-manager.io/v1 Issuer")
}

// issueAsCertManager writes the Secret of each Certificate in namespace strata that names hosts, all of one CA, and that
// CA into what asks for it.
func (c *cluster) issueAsCertManager() {
	c.t.Helper()
	ctx, ca := context.Background(), rig.NewCA(c.t, "strata-ca")
	kind := schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "certificates"}
	certificates, err := dynamic.NewForConfigOrDie(c.config).Resource(kind).Namespace("strata").List(ctx,
		metav1.ListOptions{})
	c.check(err)
	var issued []string
	for _, certificate := range certificates.Items {
		names, _, _ := unstructured.NestedStringSlice(certificate.Object, "spec", "dnsNames")
		usages, _, _ := unstructured.NestedStringSlice(certificate.Object, "spec", "usages")
		secret, _, _ := unstructured.NestedString(certificate.Object, "spec", "secretName")
		if len(names) == 0 {
			continue
		}
		issued = append(issued, "strata/"+certificate.GetName())
		c.issue(secret, ca, strings.Contains(strings.Join(usages, " "), "client auth"), names)
	}
	c.inject(ca, "cert-manager.io/inject-ca-from", issued...)
}

// inject writes the CA into the APIServices that ask for it by this annotation, which has one of these values.
func (c *cluster) inject(ca *rig.CA, annotation string, values ...string) {
	c.t.Helper()
	ctx := context.Background()
	services, err := c.apiServices().ApiregistrationV1().APIServices().List(ctx, metav1.ListOptions{})
	c.check(err)
	for _, service := range services.Items {
		if value, ok := service.Annotations[annotation]; ok {
			if !slices.Contains(values, value) {
				c.t.Fatalf("APIService %s: nobody knows %s %s", service.Name, annotation, value)
			}
			service.Spec.CABundle = ca.PEM
			_, err := c.apiServices().ApiregistrationV1().APIServices().Update(ctx, &service, metav1.UpdateOptions{})
			c.check(err)
		}
	}
}

// issueAsServiceCA does what annotations ask OpenShift's service CA for: a Secret for Service strata, and the CA for
// APIServices; it returns that CA.
func (c *cluster) issueAsServiceCA() *rig.CA {
	c.t.Helper()
	ca := rig.NewCA(c.t, "service-ca")
	c.issueForService(ca, "strata")
	c.inject(ca, "service.beta.openshift.io/inject-cabundle", "true")
	return ca
}

// issueForService is the service CA's certificate for one Service.
func (c *cluster) issueForService(ca *rig.CA, name string) {
	c.t.Helper()
	service, err := c.client.CoreV1().Services("strata").Get(context.Background(), name, metav1.GetOptions{})
	c.check(err)
	host := name + ".strata.svc"
	c.issue(service.Annotations["service.beta.openshift.io/serving-cert-secret-name"], ca, false,
		[]string{host, host + ".cluster.local"})
}

// injectIntoWebhook writes the CA into the webhook's configuration if it asks for it by the annotation.
func (c *cluster) injectIntoWebhook(ca *rig.CA, name, annotation, value string) {
	c.t.Helper()
	ctx, configurations := context.Background(), c.client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	configuration, err := configurations.Get(ctx, name, metav1.GetOptions{})
	c.check(err)
	if configuration.Annotations[annotation] != value {
		c.t.Fatalf("webhook %s: %s is %q", name, annotation, configuration.Annotations[annotation])
	}
	for i := range configuration.Webhooks {
		configuration.Webhooks[i].ClientConfig.CABundle = ca.PEM
	}
	_, err = configurations.Update(ctx, configuration, metav1.UpdateOptions{})
	c.check(err)
}

func (c *cluster) issue(secret string, ca *rig.CA, forClientToo bool, names []string) {
	c.t.Helper()
	issue := ca.Serving
	if forClientToo {
		issue = ca.Both
	}
	certificate, key := issue(c.t, names...)
	_, err := c.client.CoreV1().Secrets("strata").Create(context.Background(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: secret}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{"ca.crt": ca.PEM, corev1.TLSCertKey: certificate, corev1.TLSPrivateKeyKey: key},
	}, metav1.CreateOptions{})
	c.check(err)
}
