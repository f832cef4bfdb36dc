// Command informers runs Go's cached clients, and writes what their handlers are told and at the end what their caches
// hold: a line of JSON each (strata/test/history, Entry). It ends when its standard input does.
//
//	informers typed=KUBECONFIG dynamic=KUBECONFIG metadata=KUBECONFIG cached=KUBECONFIG
//
// It is built with several versions of client-go: go.mod has the newest, the other .mod files older ones.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

const mark = "strata.test/mark" // the annotation by which a content is known

func resource(name string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "image.openshift.io", Version: "v1", Resource: name}
}

// An informed client has informers of both resources.
type informed struct {
	handle func(resource string, handler cache.ResourceEventHandler) error
	run    func(context.Context) error // returns once the caches are filled
	list   func(resource string) ([]metav1.Object, error)
}

var makers = map[string]func(*rest.Config) (informed, error){
	"typed": newTyped, "dynamic": newDynamic, "metadata": newMetadata, "cached": newCached}

type entry struct {
	Client   string `json:"client"`
	Op       string `json:"op"`
	Resource string `json:"resource"`
	Key      string `json:"key"`
	Revision string `json:"revision"`
	Mark     string `json:"mark"`
}

type log struct {
	mu  sync.Mutex
	out *json.Encoder
}

func (l *log) write(client, op, resource string, object metav1.Object) {
	key := object.GetName()
	if object.GetNamespace() != "" {
		key = object.GetNamespace() + "/" + key
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.out.Encode(entry{client, op, resource, key, object.GetResourceVersion(), object.GetAnnotations()[mark]})
}

func (l *log) handler(client, resource string) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { l.write(client, "add", resource, object.(metav1.Object)) },
		UpdateFunc: func(_, object any) { l.write(client, "update", resource, object.(metav1.Object)) },
		DeleteFunc: func(object any) {
			if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
				l.write(client, "gone", resource, last.Obj.(metav1.Object))
				return
			}
			l.write(client, "delete", resource, object.(metav1.Object))
		},
	}
}

func start(ctx context.Context, l *log, kind, kubeconfig string) (informed, error) {
	make, ok := makers[kind]
	if !ok {
		return informed{}, fmt.Errorf("no such client: %s", kind)
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return informed{}, err
	}
	config.QPS = -1
	client, err := make(config)
	if err != nil {
		return informed{}, err
	}
	for _, resource := range []string{"imagestreams", "images"} {
		if err := client.handle(resource, l.handler(kind, resource)); err != nil {
			return informed{}, err
		}
	}
	return client, client.run(ctx)
}

func run() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l := &log{out: json.NewEncoder(os.Stdout)}
	clients := map[string]informed{}
	for _, argument := range os.Args[1:] {
		kind, kubeconfig, _ := strings.Cut(argument, "=")
		client, err := start(ctx, l, kind, kubeconfig)
		if err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		clients[kind] = client
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	for kind, client := range clients {
		for _, resource := range []string{"imagestreams", "images"} {
			objects, err := client.list(resource)
			if err != nil {
				return fmt.Errorf("%s: %w", kind, err)
			}
			for _, object := range objects {
				l.write(kind, "have", resource, object)
			}
		}
	}
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
