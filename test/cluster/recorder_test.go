package cluster

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"strata/test/history"
	"strata/test/rig"
)

// A recorder stands between one client and kube-apiserver, and keeps what comes back for lists and watches of our group.
// It also makes watches short: a client that wants to watch for minutes does so for as many hundredths.
type recorder struct {
	c          *cluster
	name       string
	url        string
	kubeconfig string
	newest     func() int64 // a revision that was acknowledged

	mu      sync.Mutex
	answers []*answer
}

// An answer as it came; its body is in a file.
type answer struct {
	target  *url.URL
	floor   int64 // the newest revision when it was asked for
	began   time.Time
	code    int
	headers http.Header

	mu    sync.Mutex
	body  *os.File
	whole bool
}

type floorKey struct{}

// record is a way to kube-apiserver for one client, as user admin.
func (c *cluster) record(name string, newest func() int64) *recorder {
	c.t.Helper()
	port := rig.FreePort(c.t)
	r := &recorder{c: c, name: name, url: fmt.Sprintf("https://127.0.0.1:%d", port), newest: newest}
	certificate, err := tls.X509KeyPair(c.ca.Serving(c.t, "localhost"))
	c.check(err)
	proxy := &httputil.ReverseProxy{
		FlushInterval:  -1,
		ErrorLog:       log.New(io.Discard, "", 0), // clients and servers leave: that is the test
		Transport:      &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.ca.Pool()}, ForceAttemptHTTP2: true},
		Rewrite:        r.rewrite,
		ModifyResponse: r.keep,
	}
	server := &http.Server{Handler: proxy, ErrorLog: proxy.ErrorLog}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	c.check(err)
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
	go func() { _ = server.ServeTLS(listener, "", "") }()
	c.t.Cleanup(func() { server.Close() })
	r.kubeconfig = c.write(name+".kubeconfig", c.kubeconfigAt(port, "admintoken"))
	return r
}

func (r *recorder) rewrite(request *httputil.ProxyRequest) {
	request.Out = request.Out.WithContext(context.WithValue(request.Out.Context(), floorKey{}, r.newest()))
	request.SetURL(&url.URL{Scheme: "https", Host: fmt.Sprintf("127.0.0.1:%d", r.c.kubePort)})
	query := request.Out.URL.Query()
	if seconds, err := strconv.Atoi(query.Get("timeoutSeconds")); err == nil && seconds > 100 {
		query.Set("timeoutSeconds", strconv.Itoa(seconds/100))
		request.Out.URL.RawQuery = query.Encode()
	}
}

func (r *recorder) keep(response *http.Response) error {
	request := response.Request
	if resource, _ := history.ResourceOf(request.URL.Path); resource == "" || request.Method != http.MethodGet {
		return nil
	}
	file, err := os.CreateTemp(r.c.dir, "answer-*")
	if err != nil {
		return err
	}
	// Open, it needs no name.
	os.Remove(file.Name())
	a := &answer{target: request.URL, began: time.Now(), code: response.StatusCode, headers: response.Header.Clone(),
		body: file}
	a.floor, _ = request.Context().Value(floorKey{}).(int64)
	response.Body = &kept{a, response.Body}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers = append(r.answers, a)
	return nil
}

// watched is nil once a watch has been answered.
func (r *recorder) watched() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.answers {
		if history.IsWatch(a.target) && a.code == http.StatusOK {
			return nil
		}
	}
	return fmt.Errorf("no watch")
}

// story is what the client asked about a resource, and how that ended.
func (r *recorder) story(resource string) string {
	var lines strings.Builder
	for i, a := range r.about(resource) {
		body, err := a.bytes()
		fmt.Fprintf(&lines, "\n%d at %s: %d to %s: %d bytes, whole: %v %v", i, a.began.Format("04:05.000"), a.code,
			a.target.RequestURI(), len(body), a.whole, err)
	}
	return lines.String()
}

// wentOn: between two times the client watched, and never had to list.
func (r *recorder) wentOn(resource string, from, to time.Time) error {
	watches := 0
	for _, a := range r.about(resource) {
		if a.began.Before(from) || a.began.After(to) {
			continue
		}
		if !history.IsWatch(a.target) || a.code != http.StatusOK || a.target.Query().Get("sendInitialEvents") == "true" {
			return fmt.Errorf("%s began anew: %d to %s", r.name, a.code, a.target.RequestURI())
		}
		watches++
	}
	if watches == 0 {
		return fmt.Errorf("%s never watched again", r.name)
	}
	return nil
}

// A body that is kept while it is read.
type kept struct {
	*answer
	from io.ReadCloser
}

func (k *kept) Read(into []byte) (int, error) {
	n, err := k.from.Read(into)
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, failed := k.body.Write(into[:n]); failed != nil {
		return n, failed
	}
	if err == io.EOF {
		k.whole = true
	}
	return n, err
}

func (k *kept) Close() error { return k.from.Close() }

// bytes is what came so far, unzipped.
func (a *answer) bytes() ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	info, err := a.body.Stat()
	if err != nil {
		return nil, err
	}
	body := make([]byte, info.Size())
	if _, err := a.body.ReadAt(body, 0); err != nil && err != io.EOF {
		return nil, err
	}
	if a.headers.Get("Content-Encoding") != "gzip" {
		return body, nil
	}
	reader, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(reader)
}

// oldest is the revision that a list may have: the newest when it was asked for, unless it asked for another one.
func (a *answer) oldest() int64 {
	asked := a.target.Query().Get("resourceVersion")
	if asked == "" {
		return a.floor
	}
	revision, _ := strconv.ParseInt(asked, 10, 64)
	return revision
}
