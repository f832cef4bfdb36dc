package soak

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"time"
)

// A client of one server, with a connection of its own.
type client struct {
	server *server
	http   http.Client
	token  string // "": the administrator's of that moment
	gzip   bool
}

// client speaks HTTP/2, or HTTP/1.1.
func (s *server) client(old bool) *client {
	config := s.config()
	if old {
		config.NextProtos = []string{"http/1.1"}
	}
	return &client{server: s, http: http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		TLSClientConfig: config, ForceAttemptHTTP2: !old, DisableCompression: true, MaxIdleConnsPerHost: 4}}}
}

// as presents a certificate.
func (c *client) as(pair tls.Certificate) *client {
	c.http.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{pair}
	return c
}

func (c *client) close() { c.http.CloseIdleConnections() }

// An answer, or why there is none.
type answer struct {
	server, path string
	accept       string
	asked, ended time.Time
	oldest       int64 // the newest revision that was acknowledged before it was asked for
	newest       int64 // and when it had come
	pages        [][]byte
	world        *world
	code         int
	contentType  string
	body         []byte
	err          error
}

func (a *answer) String() string {
	text := fmt.Sprintf("%s %s of %s", a.asked.Format("15:04:05.000"), a.path, a.server)
	if a.accept != "" {
		text += " as " + a.accept
	}
	return fmt.Sprintf("%s: %d after %v, %v %.300s", text, a.code, a.ended.Sub(a.asked).Round(time.Millisecond), a.err, a.body)
}

// get returns the body of a 200.
func (c *client) get(path, accept string) ([]byte, error) {
	a := c.ask(context.Background(), path, accept)
	if a.err == nil && a.code != http.StatusOK {
		a.err = fmt.Errorf("%d %.200s", a.code, a.body)
	}
	return a.body, a.err
}

func (c *client) ask(ctx context.Context, path, accept string) *answer {
	a := &answer{server: c.server.name, path: path, accept: accept, asked: time.Now(), oldest: c.server.promised(), world: c.server.w}
	defer func() { a.ended, a.newest = time.Now(), a.world.writer.Newest() }()
	var response *http.Response
	if response, a.err = c.open(ctx, path, accept); a.err != nil {
		return a
	}
	defer response.Body.Close()
	a.code, a.contentType = response.StatusCode, response.Header.Get("Content-Type")
	if a.body, a.err = io.ReadAll(response.Body); a.err != nil {
		return a
	}
	if response.Header.Get("Content-Encoding") == "gzip" {
		var unzipped *gzip.Reader
		if unzipped, a.err = gzip.NewReader(bytes.NewReader(a.body)); a.err == nil {
			a.body, a.err = io.ReadAll(unzipped)
		}
	}
	return a
}

func (c *client) open(ctx context.Context, path, accept string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.server.url+path, nil)
	if err != nil {
		return nil, err
	}
	token := c.token
	if token == "" {
		token = *c.server.w.token.Load()
	}
	if token != nobody {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if accept != "" {
		request.Header.Set("Accept", accept)
	}
	if c.gzip {
		request.Header.Set("Accept-Encoding", "gzip")
	}
	return c.http.Do(request)
}

// nobody is who brings no token.
const nobody = "-"
