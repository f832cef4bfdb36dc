package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
)

// An Entry is a line of a client's log.
//
//	add, update, delete: what a handler was told
//	gone:                a handler was told that an object isn't there any more, by its last known content
//	reset:               the client starts from nothing
//	have:                at the end, what its cache holds
type Entry struct {
	Client   string
	Op       string
	Resource string
	Key      string
	Revision int64 `json:",string"`
	Mark     int64 `json:",string"`
}

// ParseLog reads a log. A last line without its end is left out.
func ParseLog(text []byte) ([]Entry, error) {
	var entries []Entry
	lines := bufio.NewScanner(bytes.NewReader(text[:bytes.LastIndexByte(text, '\n')+1]))
	for lines.Scan() {
		var e Entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("%q: %w", lines.Text(), err)
		}
		entries = append(entries, e)
	}
	return entries, lines.Err()
}

// A Gap is revisions after From up to To that a client need not be told one by one, since it listed again.
type Gap struct{ From, To int64 }

// believed is what a client's log says it knows of a key.
type believed struct {
	Object
	there   bool
	repeats int
}

// CheckLog says what is wrong in the entries of one client and resource: what was told twice, went back, was never so,
// or is missing outside the gaps; and whether the client ended with the state of the timeline's end. A gap may tell
// again what is known.
func (t Timeline) CheckLog(entries []Entry, gaps []Gap) error {
	changes := map[string]Timeline{}
	for _, c := range t {
		changes[c.Key] = append(changes[c.Key], c)
	}
	known, have := map[string]believed{}, State{}
	for i, e := range entries {
		switch e.Op {
		case "reset":
			known, have = map[string]believed{}, State{}
			continue
		case "have":
			have[e.Key] = Object{e.Revision, e.Mark}
			continue
		}
		before, was := known[e.Key]
		after, err := before.told(e, changes[e.Key], gaps, was)
		if err != nil {
			return fmt.Errorf("entry %d, %v: %w", i, e, err)
		}
		known[e.Key] = after
	}
	told := State{}
	for key, b := range known {
		if b.there {
			told[key] = b.Object
		}
	}
	end := t.At(t.Last())
	if err := end.Difference(told); err != nil {
		return fmt.Errorf("told until the end: %w", err)
	}
	if err := end.Difference(have); err != nil {
		return fmt.Errorf("held at the end: %w", err)
	}
	return nil
}

func (b believed) told(e Entry, changes Timeline, gaps []Gap, was bool) (believed, error) {
	if e.Op == "add" == b.there {
		if b.there {
			return b, fmt.Errorf("it is there already, of revision %d", b.Revision)
		}
		return b, fmt.Errorf("it isn't there")
	}
	after := believed{Object{e.Revision, e.Mark}, e.Op == "add" || e.Op == "update", b.repeats}
	switch {
	case e.Op == "gone":
		return believed{b.Object, false, b.repeats}, b.isKnown(e, gaps)
	case was && e.Revision < b.Revision:
		return b, fmt.Errorf("revision %d was told before", b.Revision)
	case was && e.Revision == b.Revision && b.there == after.there:
		if after.repeats++; after.repeats > len(gaps) {
			return b, fmt.Errorf("told twice")
		}
		return after, b.isKnown(e, nil)
	}
	if err := changes.holds(e, after.there); err != nil {
		return b, err
	}
	if !was {
		return after, nil // what was before its first state is nobody's business
	}
	return after, changes.between(b.Revision, e.Revision).allowed(gaps)
}

// isKnown: the entry says again what is known.
func (b believed) isKnown(e Entry, gaps []Gap) error {
	if b.Object != (Object{e.Revision, e.Mark}) {
		return fmt.Errorf("known was %v", b.Object)
	}
	if e.Op == "gone" && len(gaps) == 0 {
		return fmt.Errorf("told without a list")
	}
	return nil
}

// holds: a revision did to the key what the entry says.
func (t Timeline) holds(e Entry, there bool) error {
	i := t.index(e.Revision - 1)
	if i == len(t) || t[i].Revision != e.Revision {
		return fmt.Errorf("nothing changed then")
	}
	if c := t[i]; c.Mark != e.Mark || c.Deleted == there {
		return fmt.Errorf("it should be %v", c)
	}
	return nil
}

// between leaves both ends out.
func (t Timeline) between(from, to int64) Timeline { return t[t.index(from):t.index(to-1)] }

// allowed: all of these may be missing.
func (t Timeline) allowed(gaps []Gap) error {
	for _, c := range t {
		if !within(c.Revision, gaps) {
			return fmt.Errorf("revision %d is missing", c.Revision)
		}
	}
	return nil
}

func within(revision int64, gaps []Gap) bool {
	for _, gap := range gaps {
		if revision > gap.From && revision <= gap.To {
			return true
		}
	}
	return false
}
