package main

import (
	"context"
	"errors"

	imagev1 "github.com/openshift/api/image/v1"
	image "github.com/openshift/client-go/image/clientset/versioned"
	imageinformers "github.com/openshift/client-go/image/informers/externalversions"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	controllercache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// OpenShift's generated clientset, informers and listers, in protobuf.
func newTyped(config *rest.Config) (informed, error) {
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	clientset, err := image.NewForConfig(config)
	if err != nil {
		return informed{}, err
	}
	factory := imageinformers.NewSharedInformerFactory(clientset, 0)
	images := factory.Image().V1()
	return informed{
		handle: func(name string, handler cache.ResourceEventHandler) error {
			informer, err := factory.ForResource(resource(name))
			if err != nil {
				return err
			}
			_, err = informer.Informer().AddEventHandler(handler)
			return err
		},
		run: func(ctx context.Context) error { return fill(ctx, factory.Start, factory.WaitForCacheSync) },
		list: func(name string) ([]metav1.Object, error) {
			if name == "images" {
				return listed(images.Images().Lister().List(labels.Everything()))
			}
			return listed(images.ImageStreams().Lister().List(labels.Everything()))
		},
	}, nil
}

// fill starts a factory, of whatever its informers are called by, and waits for them.
func fill[K comparable](ctx context.Context, start func(<-chan struct{}), wait func(<-chan struct{}) map[K]bool) error {
	start(ctx.Done())
	for _, synced := range wait(ctx.Done()) {
		if !synced {
			return errors.New("no sync")
		}
	}
	return nil
}

func listed[T metav1.Object](objects []T, err error) ([]metav1.Object, error) {
	list := make([]metav1.Object, 0, len(objects))
	for _, object := range objects {
		list = append(list, object)
	}
	return list, err
}

func newDynamic(config *rest.Config) (informed, error) {
	clients, err := dynamic.NewForConfig(config)
	return fromInformers(dynamicinformer.NewDynamicSharedInformerFactory(clients, 0)), err
}

func newMetadata(config *rest.Config) (informed, error) {
	clients, err := metadata.NewForConfig(config)
	return fromInformers(metadatainformer.NewSharedInformerFactory(clients, 0)), err
}

// What dynamic and metadata clients share. A factory of a client that could not be made is never run.
func fromInformers(factory dynamicinformer.DynamicSharedInformerFactory) informed {
	return informed{
		handle: func(name string, handler cache.ResourceEventHandler) error {
			_, err := factory.ForResource(resource(name)).Informer().AddEventHandler(handler)
			return err
		},
		run: func(ctx context.Context) error { return fill(ctx, factory.Start, factory.WaitForCacheSync) },
		list: func(name string) ([]metav1.Object, error) {
			objects, err := factory.ForResource(resource(name)).Lister().List(labels.Everything())
			list := make([]metav1.Object, 0, len(objects))
			for _, object := range objects {
				list = append(list, object.(metav1.Object))
			}
			return list, err
		},
	}
}

// controller-runtime's client that reads from a cache, as operators have it.
func newCached(config *rest.Config) (informed, error) {
	scheme := runtime.NewScheme()
	if err := imagev1.Install(scheme); err != nil {
		return informed{}, err
	}
	objects, err := controllercache.New(config, controllercache.Options{Scheme: scheme})
	if err != nil {
		return informed{}, err
	}
	reader, err := client.New(config, client.Options{Scheme: scheme, Cache: &client.CacheOptions{Reader: objects}})
	if err != nil {
		return informed{}, err
	}
	ctx := context.Background()
	examples := map[string]client.Object{"images": &imagev1.Image{}, "imagestreams": &imagev1.ImageStream{}}
	return informed{
		handle: func(name string, handler cache.ResourceEventHandler) error {
			informer, err := objects.GetInformer(ctx, examples[name], controllercache.BlockUntilSynced(false))
			if err != nil {
				return err
			}
			_, err = informer.AddEventHandler(handler)
			return err
		},
		run: func(ctx context.Context) error {
			go func() { _ = objects.Start(ctx) }()
			if !objects.WaitForCacheSync(ctx) {
				return errors.New("no sync")
			}
			return nil
		},
		list: func(name string) ([]metav1.Object, error) {
			var list []metav1.Object
			if name == "images" {
				var images imagev1.ImageList
				err := reader.List(ctx, &images)
				for i := range images.Items {
					list = append(list, &images.Items[i])
				}
				return list, err
			}
			var streams imagev1.ImageStreamList
			err := reader.List(ctx, &streams)
			for i := range streams.Items {
				list = append(list, &streams.Items[i])
			}
			return list, err
		},
	}, nil
}
