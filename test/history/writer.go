package history

import (
	"context"
	"fmt"
	"math/rand"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

func split(key string) (namespace, name string) {
	if at := strings.IndexByte(key, '/'); at >= 0 {
		return key[:at], key[at+1:]
	}
	return "", key
}

// A Writer changes records, one a revision, and remembers each change. An etcd that dies under it is waited for.
type Writer struct {
	t        *testing.T
	client   *clientv3.Client
	interval atomic.Int64 // of each hand between two writes; 0: pause
	marks    atomic.Int64
	writes   atomic.Int64
	newest   atomic.Int64 // revision that was acknowledged

	mu      sync.Mutex
	changes map[string]Timeline // by resource; per hand in order
	begun   map[string]int64    // what was newest when a write began that isn't known to have ended, by the guard
	ended   chan struct{}
	hands   sync.WaitGroup
}

// hands write beside each other, each its own names: so many that an etcd on a busy disk takes 1,000 changes a second.
const hands = 64

// StartWriter writes `objects` of each kind at once, and goes on to change them once Pace is told.
func StartWriter(t *testing.T, client *clientv3.Client, objects int) *Writer {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &Writer{t: t, client: client, changes: map[string]Timeline{},
		begun: map[string]int64{}, ended: make(chan struct{})}
	t.Cleanup(func() { cancel(); w.hands.Wait() })
	var ready sync.WaitGroup
	for i := range hands {
		h := &hand{w: w, guard: fmt.Sprintf("/strata.test/hand-%d", i), random: rand.New(rand.NewSource(int64(i)))}
		for n := i; n < objects; n += hands {
			for k := range kinds {
				h.objects = append(h.objects, &object{kind: &kinds[k], key: kinds[k].key(n)})
			}
		}
		ready.Add(1)
		w.hands.Add(1)
		go func() {
			defer w.hands.Done()
			for _, o := range h.objects {
				h.put(ctx, o)
			}
			ready.Done()
			h.work(ctx)
		}()
	}
	ready.Wait()
	return w
}

// Pace sets how many changes a second are made; 0: none.
func (w *Writer) Pace(perSecond int) {
	interval := int64(0)
	if perSecond != 0 {
		interval = int64(time.Second) * hands / int64(perSecond)
	}
	w.interval.Store(interval)
}

// Newest is a revision that was acknowledged by now: whoever asks later must see it.
func (w *Writer) Newest() int64 { return w.newest.Load() }

// Timeline of a resource, so far; whole after End.
func (w *Writer) Timeline(resource string) Timeline {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := append(Timeline(nil), w.changes[resource]...)
	sort.Slice(all, func(i, j int) bool { return all[i].Revision < all[j].Revision })
	return all
}

// Settled is a revision up to which every change is in the timelines.
func (w *Writer) Settled() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	settled := w.newest.Load()
	for _, begun := range w.begun {
		settled = min(settled, begun)
	}
	return settled
}

// Forget leaves timelines that are right from a revision on; it has to be settled.
func (w *Writer) Forget(revision int64) {
	for _, k := range kinds {
		w.mu.Lock()
		sort.Slice(w.changes[k.resource], func(i, j int) bool {
			return w.changes[k.resource][i].Revision < w.changes[k.resource][j].Revision
		})
		w.changes[k.resource] = w.changes[k.resource].Since(revision)
		w.mu.Unlock()
	}
}

// End is the name of the objects after which nothing changes.
const End = "zz-end"

// End creates them, when all else is written.
func (w *Writer) End() {
	close(w.ended)
	w.hands.Wait()
	h := &hand{w: w, guard: "/strata.test/end"}
	for k := range kinds {
		key := End
		if kinds[k].resource == "imagestreams" {
			key = Namespaces[len(Namespaces)-1] + "/" + key
		}
		h.put(context.Background(), &object{kind: &kinds[k], key: key})
	}
}

type object struct {
	kind    *kind
	key     string
	created int64 // the mark of its first content; 0: it isn't there
	mark    int64
}

// A hand writes its own objects, one after the other. The guard is written by each of its transactions: after a failure
// it says which was the last.
type hand struct {
	w       *Writer
	guard   string
	at      int64 // the guard's revision
	objects []*object
	random  *rand.Rand
}

func (h *hand) work(ctx context.Context) {
	next := time.Now()
	for ctx.Err() == nil {
		select {
		case <-h.w.ended:
			return
		default:
		}
		interval := time.Duration(h.w.interval.Load())
		if interval == 0 {
			time.Sleep(5 * time.Millisecond)
			next = time.Now()
			continue
		}
		if wait := time.Until(next); wait > 0 {
			time.Sleep(wait)
		} else if wait < -time.Second {
			next = time.Now() // after an outage nothing is made up for
		}
		next = next.Add(interval)
		if o := h.objects[h.random.Intn(len(h.objects))]; o.created != 0 && h.random.Intn(4) == 0 {
			h.remove(ctx, o)
		} else {
			h.put(ctx, o)
		}
	}
}

func (h *hand) put(ctx context.Context, o *object) {
	mark := h.w.marks.Add(1)
	created := o.created
	if created == 0 {
		created = mark
	}
	change := Change{Key: o.key, Mark: mark, Created: o.created == 0}
	if h.commit(ctx, o, change, clientv3.OpPut(o.kind.etcdKey(o.key), o.kind.value(h.w.t, meta(o.key, created, mark)))) {
		o.created, o.mark = created, mark
	}
}

func (h *hand) remove(ctx context.Context, o *object) {
	if h.commit(ctx, o, Change{Key: o.key, Mark: o.mark, Deleted: true}, clientv3.OpDelete(o.kind.etcdKey(o.key))) {
		o.created = 0
	}
}

// commit tries until it is known to have happened, once: each try compares the guard, which each changes.
func (h *hand) commit(ctx context.Context, o *object, change Change, op clientv3.Op) bool {
	token := strconv.FormatInt(h.w.writes.Add(1), 10)
	h.w.mu.Lock()
	h.w.begun[h.guard] = h.w.newest.Load()
	h.w.mu.Unlock()
	for ctx.Err() == nil {
		revision, err := h.try(ctx, token, op)
		if err != nil {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		change.Revision, h.at = revision, revision
		h.w.mu.Lock()
		h.w.changes[o.kind.resource] = append(h.w.changes[o.kind.resource], change)
		h.w.newest.Store(max(revision, h.w.newest.Load()))
		delete(h.w.begun, h.guard)
		h.w.mu.Unlock()
		return true
	}
	return false
}

func (h *hand) try(ctx context.Context, token string, op clientv3.Op) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	answer, err := h.w.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(h.guard), "=", h.at)).
		Then(op, clientv3.OpPut(h.guard, token)).Else(clientv3.OpGet(h.guard)).Commit()
	if err != nil {
		return 0, err
	}
	if answer.Succeeded {
		return answer.Header.Revision, nil
	}
	guard := answer.Responses[0].GetResponseRange().Kvs
	if len(guard) != 1 || string(guard[0].Value) != token {
		return 0, fmt.Errorf("%s was written by somebody else", h.guard)
	}
	return guard[0].ModRevision, nil // an earlier try came through
}
