package store

import (
	"context"
	"fmt"
	"maps"
	"math/rand"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"strata/test/rig"
)

type keyValue = mvccpb.KeyValue

const (
	clients = 4
	watches = 2
)

var begun = time.Now()

// moment orders calls and answers, also while the machine's clock is set.
func moment() int64 { return int64(time.Since(begun)) }

// A tormented store: it is ended in ways that it can't notice, and started again on what is left.
type tormented struct {
	t       *testing.T
	backend *rig.Backend
	state   state // at the end of the last episode
	serial  int
	random  *rand.Rand
}

// Checkpoints come as often as one likes to have them go wrong.
const oftenSynced = "--backend-batch-limit=30"

func newTormented(t *testing.T) *tormented {
	b := rig.StartBackend(t, "strata-storage", oftenSynced)
	return &tormented{t: t, backend: b, state: state{1, map[string]entry{}}, random: rig.Random()}
}

// dial waits until the store listens; nil if it ends before.
func (s *tormented) dial() *clientv3.Client {
	s.t.Helper()
	address := strings.TrimPrefix(s.backend.URL, "http://")
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			break
		}
		select {
		case <-s.backend.Ended():
			return nil
		case <-time.After(5 * time.Millisecond):
		}
	}
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{s.backend.URL}, DialTimeout: rig.Patience, Logger: zap.NewNop()})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *tormented) start(env ...string) {
	s.backend.Env = env
	s.backend.Launch()
}

func do(ctx context.Context, c *clientv3.Client, a action) result {
	entryOf := func(kvs ...*keyValue) entry {
		if len(kvs) == 0 || kvs[0] == nil {
			return entry{}
		}
		return entry{string(kvs[0].Value), kvs[0].CreateRevision, kvs[0].ModRevision, kvs[0].Version}
	}
	switch a.kind {
	case "put":
		r, err := c.Put(ctx, a.key, a.value, clientv3.WithPrevKV())
		if err == nil {
			return result{revision: r.Header.Revision, previous: entryOf(r.PrevKv)}
		}
	case "pair":
		r, err := c.Txn(ctx).Then(clientv3.OpPut(a.key, a.value), clientv3.OpPut(a.key+"'", a.value)).Commit()
		if err == nil {
			return result{revision: r.Header.Revision}
		}
	case "cas":
		r, err := c.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(a.key), "=", a.expected)).
			Then(clientv3.OpPut(a.key, a.value)).Else(clientv3.OpGet(a.key)).Commit()
		if err == nil && r.Succeeded {
			return result{revision: r.Header.Revision, succeeded: true}
		}
		if err == nil {
			return result{revision: r.Header.Revision, previous: entryOf(r.Responses[0].GetResponseRange().Kvs...)}
		}
	case "delete":
		r, err := c.Delete(ctx, a.key, clientv3.WithPrevKV())
		if err == nil {
			return result{revision: r.Header.Revision, previous: entryOf(r.PrevKvs...)}
		}
	case "pages":
		return pages(ctx, c)
	case "read":
		r, err := c.Get(ctx, "\x00", clientv3.WithFromKey())
		if err == nil {
			return result{revision: r.Header.Revision, records: records(r.Kvs)}
		}
	}
	return result{unknown: true}
}

// pages reads everything in pages of two, all as of the first one's revision. Where they don't fit together there is no
// record of that name, and the judge will say so.
func pages(ctx context.Context, c *clientv3.Client) result {
	all, from, revision := []*keyValue{}, "\x00", int64(0)
	for {
		r, err := c.Get(ctx, from, clientv3.WithFromKey(), clientv3.WithLimit(2), clientv3.WithRev(revision))
		if err != nil {
			return result{unknown: true}
		}
		if revision == 0 {
			revision = r.Header.Revision
		}
		all = append(all, r.Kvs...)
		if left := r.Count - int64(len(r.Kvs)); (left > 0) != r.More {
			all = append(all, &keyValue{Key: fmt.Append(nil, "more is ", r.More, " with ", left, " left")})
		}
		if !r.More || len(r.Kvs) == 0 {
			break
		}
		from = string(r.Kvs[len(r.Kvs)-1].Key) + "\x00"
		time.Sleep(5 * time.Millisecond) // others write
	}
	return result{revision: revision, records: records(all)}
}

// work makes clients write, compare and read, from when `begun` is called until `ended`; then all that was done and
// answered is returned, and what watches from the first revision on have heard.
func (s *tormented) work(ended <-chan struct{}, begun func()) ([]porcupine.Operation, [][]response) {
	var mu sync.Mutex
	var operations []porcupine.Operation
	heard := make([][]response, watches)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-ended
		cancel()
	}()
	var group sync.WaitGroup
	watcher, workers := s.dial(), [clients]*clientv3.Client{}
	for id := range workers {
		workers[id] = s.dial()
	}
	if watcher == nil || slices.Contains(workers[:], nil) {
		return nil, nil // it ended while it started
	}
	defer watcher.Close()
	defer func() {
		for _, c := range workers {
			c.Close()
		}
	}()
	begun()
	for i := range heard {
		group.Add(1)
		go func() {
			defer group.Done()
			for told := range watcher.Watch(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithRev(s.state.revision+1), clientv3.WithPrevKV()) {
				if told.Err() == nil {
					heard[i] = append(heard[i], responseOf(told))
				}
			}
		}()
	}
	group.Add(1)
	go func() {
		defer group.Done()
		for ctx.Err() == nil && watcher.RequestProgress(ctx) == nil {
			time.Sleep(3 * time.Millisecond)
		}
	}()
	for id, c := range workers {
		random := rand.New(rand.NewSource(s.random.Int63()))
		group.Add(1)
		go func() {
			defer group.Done()
			last := s.state.revision
			for n := 0; ctx.Err() == nil; n++ {
				a := action{kind: []string{"put", "put", "pair", "cas", "delete", "read", "pages"}[random.Intn(7)],
					key: fmt.Sprint("k", random.Intn(4)), value: fmt.Sprintf("%d-%d-%d", s.serial, id, n)}
				if a.kind == "cas" {
					a.expected = []int64{0, last}[random.Intn(2)]
				}
				call := moment()
				r := do(ctx, c, a)
				end := moment()
				if !r.unknown {
					last = r.revision
				}
				if !r.unknown || (a.kind != "read" && a.kind != "pages") {
					mu.Lock()
					operations = append(operations, porcupine.Operation{ClientId: id, Input: a, Call: call, Output: r, Return: end})
					mu.Unlock()
				}
				if r.unknown {
					return
				}
			}
		}()
	}
	group.Wait()
	return operations, heard
}

// judge reads what is left, and checks that all answers, all watches and all of the past agree with it.
func (s *tormented) judge(operations []porcupine.Operation, heard [][]response) error {
	c := s.dial()
	if c == nil {
		return fmt.Errorf("it doesn't start: %s", s.backend.Output())
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
	defer cancel()
	call := moment()
	for i := range operations {
		if operations[i].Output.(result).unknown {
			operations[i].Return = call // done before the store ended, or never
		}
	}
	left := do(ctx, c, action{kind: "read"})
	if left.unknown {
		return fmt.Errorf("it can't be read")
	}
	operations = append(operations, porcupine.Operation{ClientId: clients, Input: action{kind: "read"}, Call: call + 1,
		Output: left, Return: moment()})
	base := s.state
	s.state = state{left.revision, left.records}
	if err := judgeAnswers(base, operations); err != nil {
		return err
	}
	return s.judgeThePast(ctx, c, base, heard)
}

func (s *tormented) judgeThePast(ctx context.Context, c *clientv3.Client, base state, heard [][]response) error {
	var all []change
	watching, stop := context.WithCancel(ctx)
	defer stop()
	watch := c.Watch(watching, "\x00", clientv3.WithFromKey(), clientv3.WithRev(base.revision+1), clientv3.WithPrevKV())
	for s.state.revision > base.revision && (len(all) == 0 || all[len(all)-1].revision < s.state.revision) {
		response, ok := <-watch
		if !ok || response.Err() != nil {
			return fmt.Errorf("the past can't be watched: %v", response.Err())
		}
		for _, event := range response.Events {
			all = append(all, changeOf(event))
		}
	}
	var states []state
	end, err := replay(base, all, func(at state) { states = append(states, at) })
	if err != nil {
		return err
	}
	if end.revision != s.state.revision || !maps.Equal(end.records, s.state.records) {
		return fmt.Errorf("the history ends in %v, and read is %v", end, s.state)
	}
	for _, watch := range heard {
		if err := judgeHeard(watch, all); err != nil {
			return err
		}
	}
	for range min(3, len(states)) {
		at := states[s.random.Intn(len(states))]
		past, err := c.Get(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithRev(at.revision))
		if err != nil || !maps.Equal(records(past.Kvs), at.records) {
			return fmt.Errorf("at revision %d: %v %v, want %v", at.revision, err, past, at.records)
		}
	}
	return nil
}

func TestNothingIsLostOrHalfDoneWhenTheStoreIsKilled(t *testing.T) {
	s := newTormented(t)
	operationsInAll, started := 0, time.Now()
	episodes := rig.Times("STRATA_KILLS", 60)
	for s.serial = 0; s.serial < episodes; s.serial++ {
		process := s.backend.Process
		operations, heard := s.work(process.Ended(), func() {
			time.AfterFunc(time.Duration(s.random.Intn(80))*time.Millisecond, func() { process.Stop(syscall.SIGKILL) })
		})
		s.start()
		if err := s.judge(operations, heard); err != nil {
			t.Fatalf("episode %d: %v", s.serial, err)
		}
		operationsInAll += len(operations)
	}
	t.Logf("%d kills, %d operations, revision %d, %.0f s", episodes, operationsInAll, s.state.revision, time.Since(started).Seconds())
}
