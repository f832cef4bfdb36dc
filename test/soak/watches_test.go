package soak

import (
	"context"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"net/url"
	"strings"
	"time"

	"strata/test/history"
)

// A watching is one kind of watch: what is watched, in which form, and how it begins.
type watching struct {
	path, form string
	list       bool // else with all that there is
}

var watchings = []watching{
	{ofImages + "imagestreams?", "", true},
	{ofImages + "images?", protobuf, true},
	{ofImages + "imagestreams?", table, true},
	{ofImages + "images?", metadata, true},
	{ofImages + "namespaces/load-b/imagestreams?", protobuf, true},
	{ofImages + "imagestreams?labelSelector=" + history.HalfLabel + "=odd&", "", true},
	{ofImages + "images?labelSelector=" + history.HalfLabel + "=even&", protobuf, true},
	{ofImages + "imagestreams?fieldSelector=metadata.name=stream-007&", "", true},
	{ofImages + "images?", "", false},
	{ofImages + "imagestreams?sendInitialEvents=true&resourceVersionMatch=NotOlderThan&", "", false},
	{ofImages + "images?sendInitialEvents=true&resourceVersionMatch=NotOlderThan&", protobuf, false},
}

// A pace is how a client reads its watch.
type pace struct {
	name  string
	bytes int           // at a time; 0: nothing is ever read
	pause time.Duration // between
}

var (
	steady = pace{"steady", 64 << 10, 0}
	slow   = pace{"slow", 512, 50 * time.Millisecond}
	never  = pace{"never", 0, 0}
)

// watch follows one kind of watch after the other, until the world stops.
func (w *world) watch(s *server, p pace, seed int64) {
	defer w.working.Done()
	random := rand.New(rand.NewSource(seed))
	for w.sleep(50, 400, random) {
		c := s.client(random.Intn(2) == 0)
		c.http.Timeout = 0
		w.follow(c, watchings[random.Intn(len(watchings))], p, random)
		c.close()
	}
}

// follow watches some times, each from where the one before ended.
func (w *world) follow(c *client, kind watching, p pace, random *rand.Rand) {
	from := int64(0)
	if kind.list {
		form := strings.Replace(kind.form, metadata, metadataList, 1)
		a := c.ask(ctx(), strings.TrimRight(kind.path, "?&"), form)
		w.judge.take(w, a, isList)
		list, err := history.ParseList(a.body)
		if a.err != nil || a.code != http.StatusOK || err != nil {
			return
		}
		from = list.Revision
	}
	for range 1 + random.Intn(4) {
		seconds := 2 + random.Intn(w.longestWatch())
		path := fmt.Sprintf("%swatch=true&allowWatchBookmarks=true&timeoutSeconds=%d", kind.path, seconds)
		if kind.list {
			path += fmt.Sprintf("&resourceVersion=%d", from)
		}
		a := c.watch(path, kind.form, p, time.Duration(seconds)*time.Second)
		upTo, ok := w.judge.takeWatch(w, a, p)
		if !ok {
			return
		}
		from = max(from, upTo)
	}
}

func (w *world) longestWatch() int {
	if w.long {
		return 40
	}
	return 5
}

// watch reads at a pace what comes. Who reads slowly leaves when the time is over.
func (c *client) watch(path, form string, p pace, lasts time.Duration) *answer {
	a := &answer{server: c.server.name, path: path, accept: form, asked: time.Now(), world: c.server.w,
		oldest: c.server.w.writer.Newest()}
	ctx, leave := context.WithTimeout(context.Background(), lasts+20*time.Second)
	defer leave()
	defer func() { a.ended = time.Now() }()
	response, err := c.open(ctx, path, form)
	if err != nil {
		a.err = err
		return a
	}
	defer response.Body.Close()
	a.code, a.contentType = response.StatusCode, response.Header.Get("Content-Type")
	if a.code != http.StatusOK { // however late it comes, what it says is short
		a.body, a.err = io.ReadAll(response.Body)
		return a
	}
	if p.bytes == 0 {
		time.Sleep(lasts)
		return a
	}
	a.body, a.err = readAt(response.Body, p, a.asked.Add(lasts))
	return a
}

func readAt(body io.Reader, p pace, until time.Time) (read []byte, err error) {
	buffer := make([]byte, p.bytes)
	for p.pause == 0 || time.Now().Before(until) {
		n, err := body.Read(buffer)
		read = append(read, buffer[:n]...)
		if err == io.EOF {
			return read, nil
		}
		if err != nil {
			return read, err
		}
		time.Sleep(p.pause)
	}
	return read, nil
}

// takeWatch judges a watch, and says up to which revision it told everything; false if it is of no use any more.
func (j *judge) takeWatch(w *world, a *answer, p pace) (upTo int64, ok bool) {
	events, cut, err := history.ParseEvents(a.contentType, a.body)
	target, _ := url.Parse(a.path)
	watch := history.Watch{Events: events}
	watch.From, watch.Initial = history.Asked(target.Query())
	failed := a.err != nil || a.code != http.StatusOK
	told := "" // an error among the events
	for _, event := range events {
		upTo = max(upTo, event.Revision)
		if event.Type == "ERROR" {
			failed, told, a.err = true, fmt.Sprint(event.Code), fmt.Errorf("%d %s", event.Code, event.Message)
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events += len(events)
	if told != "" {
		j.isFailure(a, told, a.String())
	} else if failed {
		j.fails(a)
	}
	if a.code != http.StatusOK {
		return 0, false
	}
	if err == nil && cut && p == steady && a.err == nil {
		err = fmt.Errorf("its end is in the middle of an event")
	}
	if err != nil {
		j.isWrong(a.String(), err)
		return 0, false
	}
	resource, _ := history.ResourceOf(target.Path)
	a.body = nil
	j.wait(verdict{upTo: max(upTo, a.oldest), check: func(t timelines) error {
		selected := t[resource].Selected(target)
		told, err := selected.CheckWatch(watch)
		due := selected[:len(selected)-len(selected.After(a.oldest))].Last()
		if err == nil && p == steady && !failed && told != 0 && told < due {
			j.isFailure(a, behind, fmt.Sprintf("%v: it came to %d, and %d was written before it began", a, told, due))
		}
		return err
	}}, a.String())
	return upTo, !failed
}
