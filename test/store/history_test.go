package store

import (
	"fmt"
	"maps"
	"strings"

	"github.com/anishathalye/porcupine"
	clientv3 "go.etcd.io/etcd/client/v3"

	"strata/test/rig"
)

type entry struct {
	value            string
	create, mod, ver int64
}

// A state is all records at a revision.
type state struct {
	revision int64
	records  map[string]entry
}

func (s state) with(writes map[string]string, deleted ...string) state {
	next := state{s.revision, maps.Clone(s.records)}
	changed := false
	for _, key := range deleted {
		if _, there := next.records[key]; there {
			delete(next.records, key)
			changed = true
		}
	}
	for key, value := range writes {
		old := next.records[key]
		if old.ver == 0 {
			old.create = s.revision + 1
		}
		next.records[key] = entry{value, old.create, s.revision + 1, old.ver + 1}
		changed = true
	}
	if changed {
		next.revision++
	}
	return next
}

type action struct {
	kind     string // put, pair, cas, delete, read, pages
	key      string
	value    string
	expected int64 // of cas: the revision
}

type result struct {
	unknown   bool // the answer never came
	revision  int64
	succeeded bool
	previous  entry // of put, delete; of a cas that failed, what is there
	records   map[string]entry
}

func (a action) applied(s state) state {
	switch a.kind {
	case "put":
		return s.with(map[string]string{a.key: a.value})
	case "pair":
		return s.with(map[string]string{a.key: a.value, a.key + "'": a.value})
	case "cas":
		if s.records[a.key].mod == a.expected {
			return s.with(map[string]string{a.key: a.value})
		}
	case "delete":
		return s.with(nil, a.key)
	}
	return s
}

// Whether the store, being at `s`, may have answered so.
func (a action) allows(s state, r result) bool {
	next := a.applied(s)
	if r.revision != next.revision {
		return false
	}
	switch a.kind {
	case "put", "delete":
		return r.previous == s.records[a.key]
	case "cas":
		held := s.records[a.key].mod == a.expected
		return r.succeeded == held && (held || r.previous == s.records[a.key])
	case "read", "pages":
		return maps.Equal(r.records, s.records)
	}
	return true
}

// The whole store is one object: its revision counts every write.
var model = porcupine.NondeterministicModel{
	Step: func(of, input, output any) []any {
		s, a, r := of.(state), input.(action), output.(result)
		if r.unknown {
			return []any{s, a.applied(s)}
		}
		if !a.allows(s, r) {
			return nil
		}
		return []any{a.applied(s)}
	},
	Equal: func(one, other any) bool {
		a, b := one.(state), other.(state)
		return a.revision == b.revision && maps.Equal(a.records, b.records)
	},
	DescribeOperation: func(input, output any) string {
		a, r := input.(action), output.(result)
		return fmt.Sprintf("%s %s=%s expected %d: revision %d %v unknown %v", a.kind, a.key, a.value, a.expected, r.revision, r.succeeded, r.unknown)
	},
}

// A change as a watch tells it.
type change struct {
	revision int64
	key      string
	deleted  bool
	now      entry
	before   entry
}

func changeOf(event *clientv3.Event) change {
	c := change{revision: event.Kv.ModRevision, key: string(event.Kv.Key), deleted: event.Type == clientv3.EventTypeDelete}
	if !c.deleted {
		c.now = entry{string(event.Kv.Value), event.Kv.CreateRevision, event.Kv.ModRevision, event.Kv.Version}
	}
	if event.PrevKv != nil {
		c.before = entry{string(event.PrevKv.Value), event.PrevKv.CreateRevision, event.PrevKv.ModRevision, event.PrevKv.Version}
	}
	return c
}

// replay goes from one state on by the changes of a watch: each revision once and in order, and each change what it
// says it is. `at` hears of the state at each revision.
func replay(s state, changes []change, at func(state)) (state, error) {
	for i := 0; i < len(changes); {
		if changes[i].revision != s.revision+1 {
			return s, fmt.Errorf("revision %d follows %d", changes[i].revision, s.revision)
		}
		writes, deleted := map[string]string{}, []string{}
		first := i
		for ; i < len(changes) && changes[i].revision == changes[first].revision; i++ {
			c := changes[i]
			if c.before != s.records[c.key] {
				return s, fmt.Errorf("%s was %v before revision %d, not %v", c.key, s.records[c.key], c.revision, c.before)
			}
			if c.deleted {
				deleted = append(deleted, c.key)
			} else {
				writes[c.key] = c.now.value
			}
		}
		next := s.with(writes, deleted...)
		for _, c := range changes[first:i] {
			if next.records[c.key] != c.now {
				return s, fmt.Errorf("%s became %v at revision %d, not %v", c.key, next.records[c.key], c.revision, c.now)
			}
		}
		s = next
		at(s)
	}
	return s, nil
}

// judgeAnswers checks that there is an order of the operations, beginning at `base`, in which each was answered so.
func judgeAnswers(base state, operations []porcupine.Operation) error {
	of := model
	of.Init = func() []any { return []any{base} }
	switch porcupine.CheckOperationsTimeout(of.ToModel(), operations, rig.Patience) {
	case porcupine.Illegal:
		var text strings.Builder
		for _, o := range operations {
			fmt.Fprintf(&text, "\n  client %d: %s", o.ClientId, model.DescribeOperation(o.Input, o.Output))
		}
		return fmt.Errorf("not linearizable from revision %d on:%s", base.revision, text.String())
	case porcupine.Unknown:
		return fmt.Errorf("could not be judged in time")
	}
	return nil
}

// A response is what a watch was told at once: changes, or without any how far it has come.
type response struct {
	changes []change
	notice  int64
}

func responseOf(told clientv3.WatchResponse) response {
	if told.IsProgressNotify() {
		return response{notice: told.Header.Revision}
	}
	var r response
	for _, event := range told.Events {
		r.changes = append(r.changes, changeOf(event))
	}
	return r
}

// judgeHeard checks what a watch heard against all that happened: nothing else, nothing left out, each revision at once,
// and nothing after a notice that it covers.
func judgeHeard(heard []response, all []change) error {
	told := 0
	for _, r := range heard {
		if len(r.changes) == 0 && told < len(all) && all[told].revision <= r.notice {
			return fmt.Errorf("a watch was told that it has come to revision %d, before %v", r.notice, all[told])
		}
		for _, c := range r.changes {
			if told == len(all) || all[told] != c {
				return fmt.Errorf("a watch heard of %v, which isn't what followed %v", c, all[:told])
			}
			told++
		}
		if len(r.changes) > 0 && told < len(all) && all[told].revision == all[told-1].revision {
			return fmt.Errorf("a watch was told revision %d in two parts", all[told].revision)
		}
	}
	return nil
}

func records(kvs []*keyValue) map[string]entry {
	all := map[string]entry{}
	for _, kv := range kvs {
		all[strings.Clone(string(kv.Key))] = entry{string(kv.Value), kv.CreateRevision, kv.ModRevision, kv.Version}
	}
	return all
}
