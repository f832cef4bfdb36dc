// Package read gets streams, layers and pods from API servers: what openshift-apiserver serves too, and what the group
// layers.strata.dev adds.
package read

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"path"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/kubectl/pkg/scheme"

	"strata/clients/kubectl-layers/api"
)

// Client of one API server.
type Client struct {
	REST *rest.RESTClient
	// Requests at a time, where many are made.
	Concurrency int
	Progress    *Progress

	group groupState
}

const pageSize = "500"

// Limits of what a client asks of a server.
type Limits struct {
	Concurrency int
	QPS         float32 // 0: no limit
}

// ClientFor reads from the server that a configuration names.
func ClientFor(config *rest.Config, limits Limits, progress *Progress) (*Client, error) {
	config = rest.CopyConfig(config)
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	config.QPS, config.Burst = -1, 0
	if limits.QPS > 0 {
		config.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(limits.QPS, max(1, limits.Concurrency))
	}
	client, err := rest.UnversionedRESTClientFor(config)
	if err != nil {
		return nil, err
	}
	return &Client{REST: client, Concurrency: max(1, limits.Concurrency), Progress: progress}, nil
}

// get decodes the answer of a path.
func get[T any](ctx context.Context, c *Client, query url.Values, segments ...string) (*T, error) {
	return getAs[T](ctx, c, query, "application/json", segments...)
}

func getAs[T any](ctx context.Context, c *Client, query url.Values, accept string, segments ...string) (*T, error) {
	request := c.REST.Get().AbsPath(segments...).SetHeader("Accept", accept)
	for name, values := range query {
		for _, value := range values {
			request.Param(name, value)
		}
	}
	result := request.Do(ctx)
	if err := result.Error(); err != nil {
		return nil, err
	}
	body, err := result.Raw()
	if err != nil {
		return nil, err
	}
	object := new(T)
	if err := json.Unmarshal(body, object); err != nil {
		return nil, fmt.Errorf("the answer of %s can't be read: %w", path.Join(segments...), err)
	}
	return object, nil
}

// list calls `each` for every item, page by page.
func list[T any](ctx context.Context, c *Client, query url.Values, each func(*T), segments ...string) error {
	return listAs(ctx, c, query, "application/json", each, segments...)
}

func listAs[T any](ctx context.Context, c *Client, query url.Values, accept string, each func(*T), segments ...string) error {
	query = withValue(query, "limit", pageSize)
	for {
		page, err := getAs[api.List[T]](ctx, c, query, accept, segments...)
		if err != nil {
			return err
		}
		for i := range page.Items {
			each(&page.Items[i])
		}
		if page.Continue == "" {
			return nil
		}
		query = withValue(query, "continue", page.Continue)
	}
}

func withValue(query url.Values, name, value string) url.Values {
	with := url.Values{name: {value}}
	for other, values := range query {
		if other != name {
			with[other] = values
		}
	}
	return with
}

// In is the path of a namespace's resources in a group, or of all namespaces' if it is "".
func In(group, namespace, resource string) string {
	if namespace == "" {
		return group + "/" + resource
	}
	return group + "/namespaces/" + namespace + "/" + resource
}
