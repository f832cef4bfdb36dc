// layer-policy is a validating admission webhook that refuses pods whose image contains a denied layer: one with a known
// vulnerability, say. It asks the cluster for the layers of the image's stream, as the image registry does. It tells the
// same to Gatekeeper, as a provider of external data.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	imageclient "github.com/openshift/client-go/image/clientset/versioned/typed/image/v1"
	"golang.org/x/sync/errgroup"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

type options struct {
	registry, denied, host, certificates string
	port, maxImages, maxRequests         int
	deadline, shutdownDelay              time.Duration

	providerPort, providerMaxKeys, providerMaxRequests int
	providerClientCA                                   string
	providerDeadline                                   time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.registry, "registry", "image-registry.openshift-image-registry.svc:5000",
		"host and port of the registry whose images are streams' of this cluster")
	flag.StringVar(&o.denied, "denied-layers", "", "file with one digest a line")
	flag.StringVar(&o.host, "host", "", "address to listen on; empty: all")
	flag.IntVar(&o.port, "port", 9443, "port to listen on")
	flag.StringVar(&o.certificates, "cert-dir", "/tmp/k8s-webhook-server/serving-certs", "where tls.crt and tls.key are")
	flag.IntVar(&o.maxImages, "max-images", 200, "images of a pod; one with more is refused")
	flag.IntVar(&o.maxRequests, "max-requests", 8, "pods that are looked at at a time")
	flag.DurationVar(&o.deadline, "deadline", 4*time.Second,
		"how long a pod may take; less than timeoutSeconds of the webhook's configuration")
	flag.DurationVar(&o.shutdownDelay, "shutdown-delay", 0,
		"how long to answer after SIGTERM, for whoever hasn't heard yet that this pod goes")
	flag.IntVar(&o.providerPort, "provider-port", 0, "port to listen on for Gatekeeper, at /decide; 0: not at all")
	flag.StringVar(&o.providerClientCA, "provider-client-ca", "", "file with the CA of Gatekeeper's client certificate")
	flag.IntVar(&o.providerMaxKeys, "provider-max-keys", 200, "keys in a request of Gatekeeper's")
	flag.IntVar(&o.providerMaxRequests, "provider-max-requests", 16, "requests of Gatekeeper's that are answered at a time")
	flag.DurationVar(&o.providerDeadline, "provider-deadline", 1500*time.Millisecond,
		"how long a request of Gatekeeper's may take; less than the Provider's timeout")
	flag.Parse() // --kubeconfig is controller-runtime's; without it a pod uses its service account

	ctrl.SetLogger(zap.New())
	if err := o.run(ctrl.SetupSignalHandler()); err != nil {
		fmt.Fprintln(os.Stderr, "layer-policy:", err)
		os.Exit(1)
	}
}

func (o *options) run(ctx context.Context) error {
	layers, err := readDigests(o.denied)
	if err != nil {
		return err
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.QPS = -1 // how many requests there are at a time is bounded
	client, err := imageclient.NewForConfig(config)
	if err != nil {
		return err
	}
	rules := &rules{cluster: client, registry: o.registry, denied: layers}
	server, err := o.webhookServer(rules)
	if err != nil {
		return err
	}
	servers := []webhook.Server{server}
	if o.providerPort != 0 {
		provider, err := o.providerServer(rules)
		if err != nil {
			return err
		}
		servers = append(servers, provider)
	}
	group, ctx := errgroup.WithContext(later(ctx, o.shutdownDelay))
	for _, server := range servers {
		group.Go(func() error { return server.Start(ctx) })
	}
	return group.Wait()
}

// later is done some time after ctx is.
func later(ctx context.Context, delay time.Duration) context.Context {
	delayed, cancel := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() { time.AfterFunc(delay, cancel) })
	return delayed
}

func (o *options) webhookServer(rules *rules) (webhook.Server, error) {
	if o.maxImages < 1 || o.maxRequests < 1 || o.deadline <= 0 {
		return nil, errors.New("--max-images, --max-requests and --deadline have to be positive")
	}
	server := webhook.NewServer(webhook.Options{Host: o.host, Port: o.port, CertDir: o.certificates})
	server.Register("/validate-pods", newWebhook(rules, o.maxImages, o.maxRequests, o.deadline))
	server.Register("/healthz", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	return server, nil
}

// providerServer has a port of its own: kube-apiserver shows webhooks no client certificate.
func (o *options) providerServer(rules *rules) (webhook.Server, error) {
	if o.providerMaxKeys < 1 || o.providerMaxRequests < 1 || o.providerDeadline <= 0 {
		return nil, errors.New("--provider-max-keys, --provider-max-requests and --provider-deadline have to be positive")
	}
	if _, err := readCA(o.providerClientCA); err != nil {
		return nil, fmt.Errorf("--provider-client-ca: %w", err)
	}
	paths := http.NewServeMux()
	paths.Handle("/decide", newProvider(rules, o.providerMaxKeys, o.providerMaxRequests, o.providerDeadline))
	return webhook.NewServer(webhook.Options{Host: o.host, Port: o.providerPort, CertDir: o.certificates,
		WebhookMux: paths, TLSOpts: []func(*tls.Config){onlyClientsOf(o.providerClientCA)}}), nil
}

func readDigests(path string) (map[string]bool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--denied-layers: %w", err)
	}
	digests := map[string]bool{}
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		// What is no digest is no layer's, and would deny nothing.
		if !digestOnly.MatchString(line) {
			return nil, fmt.Errorf("--denied-layers: line %d is no digest, sha256: and 64 hexadecimal digits: %.100q", i+1, line)
		}
		digests[line] = true
	}
	return digests, nil
}
