// layer-policy is a validating admission webhook that refuses pods whose image contains a denied layer: one with a known
// vulnerability, say. It asks the cluster for the layers of the image's stream, as the image registry does.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	imageclient "github.com/openshift/client-go/image/clientset/versioned/typed/image/v1"
	"k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

func main() {
	registry := flag.String("registry", "image-registry.openshift-image-registry.svc:5000",
		"host and port of the registry whose images are streams' of this cluster")
	denied := flag.String("denied-layers", "", "file with one digest a line")
	host := flag.String("host", "", "address to listen on; empty: all")
	port := flag.Int("port", 9443, "port to listen on")
	certificates := flag.String("cert-dir", "/tmp/k8s-webhook-server/serving-certs", "where tls.crt and tls.key are")
	flag.Parse() // --kubeconfig is controller-runtime's; without it a pod uses its service account

	ctrl.SetLogger(zap.New())
	if err := run(*registry, *denied, *host, *port, *certificates); err != nil {
		fmt.Fprintln(os.Stderr, "layer-policy:", err)
		os.Exit(1)
	}
}

func run(registry, denied, host string, port int, certificates string) error {
	layers, err := readDigests(denied)
	if err != nil {
		return err
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	config.ContentType = "application/vnd.kubernetes.protobuf"
	client, err := imageclient.NewForConfig(config)
	if err != nil {
		return err
	}
	server := webhook.NewServer(webhook.Options{Host: host, Port: port, CertDir: certificates})
	server.Register("/validate-pods", &webhook.Admission{Handler: &policy{
		images: client, decoder: admission.NewDecoder(scheme.Scheme), registry: registry, denied: layers}})
	return server.Start(ctrl.SetupSignalHandler())
}

func readDigests(path string) (map[string]bool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--denied-layers: %w", err)
	}
	digests := map[string]bool{}
	for _, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			digests[line] = true
		}
	}
	return digests, nil
}
