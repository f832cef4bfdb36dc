package cluster

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strata/test/history"
	"strata/test/rig"
)

// An httpReader follows one path with nothing but HTTP: it lists, watches from there, and goes on where a watch ended.
// Without a list it lets each watch begin with all that there is.
type httpReader struct {
	*recorder
	path, accept string
	list, watch  url.Values
	revision     atomic.Int64 // up to which it was told everything
	client       http.Client
}

const (
	asTable    = "application/json;as=Table;v=v1;g=meta.k8s.io"
	asMetadata = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
	protobuf   = "application/vnd.kubernetes.protobuf"
)

func query(text string) url.Values {
	values, err := url.ParseQuery(text)
	if err != nil {
		panic(err)
	}
	return values
}

// read starts readers of every form and selection.
func (s *storm) read() {
	s.t.Helper()
	const (
		streams = "/apis/" + group + "/v1/imagestreams"
		images  = "/apis/" + group + "/v1/images"
		// Who follows a selection, and never lists, knows by nothing else that something was deleted between two
		// watches.
		bookmarks = "allowWatchBookmarks=true"
		initial   = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&" + bookmarks
		odd       = "labelSelector=strata.test/half=odd"
	)
	for name, r := range map[string]*httpReader{
		"json":        {path: streams, list: query("")},
		"old-path":    {path: "/apis/" + group + "/v1/watch/imagestreams", watch: query("resourceVersion=0")},
		"pages":       {path: images, list: query("limit=37"), accept: protobuf},
		"table":       {path: streams, list: query(""), accept: asTable},
		"metadata":    {path: images, watch: query(""), accept: asMetadata},
		"namespace":   {path: "/apis/" + group + "/v1/namespaces/load-b/imagestreams", list: query(""), accept: protobuf},
		"half":        {path: streams, list: query(odd + "&limit=20"), accept: protobuf},
		"other-half":  {path: images, watch: query("labelSelector=strata.test/half=even&" + bookmarks), accept: asTable},
		"one":         {path: streams, watch: query("fieldSelector=metadata.name=stream-007&" + bookmarks)},
		"synthetic":   {path: streams, watch: query("")},
		"from-zero":   {path: images, watch: query("resourceVersion=0"), accept: protobuf},
		"bookmarks":   {path: images, list: query("resourceVersion=0"), watch: query("allowWatchBookmarks=1")},
		"initial":     {path: streams, watch: query(initial)},
		"initial-odd": {path: streams, accept: protobuf, watch: query(initial + "&" + odd)},
	} {
		r.recorder = s.record("reader-"+name, s.writer.Newest)
		r.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.ca.Pool()},
			ForceAttemptHTTP2: len(s.readers)%2 == 0}
		s.readers = append(s.readers, r)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	s.t.Cleanup(func() { cancel(); running.Wait() })
	for _, r := range s.readers {
		running.Add(1)
		go func() {
			defer running.Done()
			for ctx.Err() == nil {
				if err := r.follow(ctx); err != nil {
					time.Sleep(200 * time.Millisecond)
				}
			}
		}()
	}
}

// follow reads until something fails, or a watch is told that its revision is gone.
func (r *httpReader) follow(ctx context.Context) error {
	from := int64(0)
	if r.list != nil {
		list, err := r.all(ctx)
		if err != nil {
			return err
		}
		from = list.Revision
		r.revision.Store(from)
	}
	for {
		watch := url.Values{"watch": {"true"}, "timeoutSeconds": {"300"}}
		for _, values := range []url.Values{r.list, r.watch} {
			for name, value := range values {
				if name != "limit" {
					watch[name] = value
				}
			}
		}
		if from != 0 {
			watch.Set("resourceVersion", fmt.Sprint(from))
		}
		contentType, body, err := r.get(ctx, watch)
		events, _, _ := history.ParseEvents(contentType, body) // the judge says what is wrong
		for _, event := range events {
			if event.Type == "ERROR" {
				return fmt.Errorf("%d", event.Code)
			}
			r.revision.Store(event.Revision)
			if r.list != nil {
				from = event.Revision
			}
		}
		if err != nil {
			return err
		}
	}
}

func (r *httpReader) all(ctx context.Context) (history.List, error) {
	asked := url.Values{}
	for name, value := range r.list {
		asked[name] = value
	}
	for {
		_, body, err := r.get(ctx, asked)
		if err != nil {
			return history.List{}, err
		}
		list, err := history.ParseList(body)
		if err != nil || list.Continue == "" {
			return list, err
		}
		asked.Set("continue", list.Continue)
		asked.Del("resourceVersion")
	}
}

// get is what came, also when it broke off.
func (r *httpReader) get(ctx context.Context, asked url.Values) (contentType string, body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, "GET", r.url+r.path+"?"+asked.Encode(), nil)
	if err != nil {
		return "", nil, err
	}
	request.Header.Set("Authorization", "Bearer admintoken")
	if r.accept != "" {
		request.Header.Set("Accept", r.accept)
	}
	response, err := r.client.Do(request)
	if err != nil {
		return "", nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	if response.StatusCode != http.StatusOK {
		return "", nil, fmt.Errorf("%d %s", response.StatusCode, body)
	}
	return response.Header.Get("Content-Type"), body, err
}

// finish judges what the reader was answered, once that is everything.
func (r *httpReader) finish(t *testing.T, timelines map[string]history.Timeline) {
	t.Helper()
	resource, _ := history.ResourceOf(r.path)
	rig.EventuallyWithin(t, time.Minute, r.name+" is told the end", func() error {
		answers := r.about(resource)
		if len(answers) == 0 || r.revision.Load() < timelines[resource].Selected(answers[0].target).Last() {
			return fmt.Errorf("it came to revision %d", r.revision.Load())
		}
		return nil
	})
	verdict, err := r.judge(resource, timelines[resource])
	if err != nil {
		t.Errorf("%v%s", err, r.story(resource))
	}
	t.Logf("%s of %s: %v", resource, r.name, verdict)
}
