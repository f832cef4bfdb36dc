// Package history writes records into an etcd and remembers what each revision did; by that it judges what clients of a
// server over this etcd were told (answers.go: on the wire; log.go: by their libraries).
package history

import (
	"fmt"
	"sort"
	"strings"
)

// A Change is what one revision did to one object.
type Change struct {
	Revision int64
	Key      string // of the object: NAMESPACE/NAME, or NAME alone
	Mark     int64  // in the content, and in no other; of what was deleted, where it was
	Deleted  bool
	Created  bool
}

// An Object as somebody saw it.
type Object struct{ Revision, Mark int64 }

// A State is all objects by their keys.
type State map[string]Object

// Apply is the state after a change.
func (s State) apply(c Change) {
	if c.Deleted {
		delete(s, c.Key)
		return
	}
	s[c.Key] = Object{c.Revision, c.Mark}
}

// Difference says what `got` has wrong; nil if nothing.
func (s State) Difference(got State) error {
	var wrong []string
	for key, want := range s {
		if has, ok := got[key]; !ok {
			wrong = append(wrong, fmt.Sprintf("%s of revision %d is missing", key, want.Revision))
		} else if has != want {
			wrong = append(wrong, fmt.Sprintf("%s is %v and should be %v", key, has, want))
		}
	}
	for key, has := range got {
		if _, ok := s[key]; !ok {
			wrong = append(wrong, fmt.Sprintf("%s of revision %d should not be there", key, has.Revision))
		}
	}
	return few(wrong)
}

func few(wrong []string) error {
	if len(wrong) == 0 {
		return nil
	}
	sort.Strings(wrong)
	more := ""
	if len(wrong) > 5 {
		more = fmt.Sprintf("; and %d more", len(wrong)-5)
		wrong = wrong[:5]
	}
	return fmt.Errorf("%s%s", strings.Join(wrong, "; "), more)
}

// A Timeline is the changes of one resource, in order.
type Timeline []Change

// At is the state when a revision had been applied.
func (t Timeline) At(revision int64) State {
	state := State{}
	for _, c := range t[:t.index(revision)] {
		state.apply(c)
	}
	return state
}

// After is what changed later than a revision.
func (t Timeline) After(revision int64) Timeline { return t[t.index(revision):] }

// index is that of the first change after a revision.
func (t Timeline) index(revision int64) int {
	return sort.Search(len(t), func(i int) bool { return t[i].Revision > revision })
}

// Since is a timeline that says the same of a revision and of those after it, and has forgotten what was before.
func (t Timeline) Since(revision int64) Timeline {
	var kept Timeline
	state := t.At(revision)
	for _, c := range t[:t.index(revision)] {
		if state[c.Key].Revision == c.Revision {
			kept = append(kept, c)
		}
	}
	return append(kept, t.After(revision)...)
}

// CheckObject says what is wrong where an object was seen, or none (nil), by whoever must know a revision and may know
// a later one.
func (t Timeline) CheckObject(key string, oldest int64, got *Object) error {
	was, there := t.At(oldest)[key]
	for changes := t.After(oldest); ; changes = changes[1:] {
		if there == (got != nil) && (!there || was == *got) {
			return nil
		}
		for len(changes) > 0 && changes[0].Key != key {
			changes = changes[1:]
		}
		if len(changes) == 0 {
			break
		}
		was, there = Object{changes[0].Revision, changes[0].Mark}, !changes[0].Deleted
	}
	if got == nil {
		return fmt.Errorf("%s is missing, and it was there at %d and always after it", key, oldest)
	}
	return fmt.Errorf("%s is %v, as at no revision from %d on", key, *got, oldest)
}

// NeverSince says that an object wasn't there at a revision and never after it.
func (t Timeline) NeverSince(key string, revision int64) bool {
	if _, there := t.At(revision)[key]; there {
		return false
	}
	for _, c := range t.After(revision) {
		if c.Key == key {
			return false
		}
	}
	return true
}

// Last is the revision of the newest change.
func (t Timeline) Last() int64 {
	if len(t) == 0 {
		return 0
	}
	return t[len(t)-1].Revision
}

// Select is the timeline of those who see only what a selector matches: what leaves the selection is deleted to them,
// with the content that it had in it.
func (t Timeline) Select(matches func(key string, mark int64) bool) Timeline {
	var selected Timeline
	inside := map[string]int64{} // the marks
	for _, c := range t {
		before, was := inside[c.Key]
		is := !c.Deleted && matches(c.Key, c.Mark)
		switch {
		case is:
			inside[c.Key] = c.Mark
			c.Created = !was
			selected = append(selected, c)
		case was:
			delete(inside, c.Key)
			c.Deleted, c.Created, c.Mark = true, false, before
			selected = append(selected, c)
		}
	}
	return selected
}
