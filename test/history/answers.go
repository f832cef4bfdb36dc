package history

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// A Seen object is what an answer says of one.
type Seen struct {
	Key string
	Object
}

// A List is one answer to a list.
type List struct {
	Revision int64
	Continue string
	Objects  []Seen
}

// An Event of a watch. A bookmark has no key and no mark; InitialEnd is the one that ends the initial events.
type Event struct {
	Type string
	Seen
	InitialEnd bool
	Code       int // of an ERROR
	Message    string
}

// document is every JSON object that lists and watches consist of.
type document struct {
	Kind     string
	Code     int
	Message  string
	Metadata struct {
		Name, Namespace, ResourceVersion, Continue string
		Annotations                                map[string]string
	}
	Items []document
	Rows  []struct{ Object document }
}

func (d *document) meta() metav1.ObjectMeta {
	m := d.Metadata
	return metav1.ObjectMeta{Name: m.Name, Namespace: m.Namespace, ResourceVersion: m.ResourceVersion,
		Annotations: m.Annotations}
}

func seen(meta metav1.ObjectMeta) (Seen, error) {
	key := meta.Name
	if meta.Namespace != "" {
		key = meta.Namespace + "/" + key
	}
	revision, err := strconv.ParseInt(meta.ResourceVersion, 10, 64)
	if err != nil {
		return Seen{}, fmt.Errorf("%s: resourceVersion: %w", key, err)
	}
	mark, _ := strconv.ParseInt(meta.Annotations[MarkAnnotation], 10, 64) // bookmarks have none
	return Seen{key, Object{revision, mark}}, nil
}

// ParseList reads a list in JSON (typed, a Table, or metadata alone) or protobuf.
func ParseList(body []byte) (List, error) {
	var list List
	var head metav1.ListMeta
	var metas []metav1.ObjectMeta
	if raw, err := unwrap(body); err == nil {
		// Each of our lists and objects has its metadata in the fields in which PartialObjectMetadata has it.
		var message metav1.PartialObjectMetadataList
		if err := message.Unmarshal(raw); err != nil {
			return list, err
		}
		head = message.ListMeta
		for _, item := range message.Items {
			metas = append(metas, item.ObjectMeta)
		}
	} else {
		var d document
		if err := json.Unmarshal(body, &d); err != nil {
			return list, err
		}
		head.ResourceVersion, head.Continue = d.Metadata.ResourceVersion, d.Metadata.Continue
		for i := range d.Items {
			metas = append(metas, d.Items[i].meta())
		}
		for i := range d.Rows {
			metas = append(metas, d.Rows[i].Object.meta())
		}
	}
	var err error
	if list.Revision, err = strconv.ParseInt(head.ResourceVersion, 10, 64); err != nil {
		return list, err
	}
	list.Continue = head.Continue
	for _, meta := range metas {
		object, err := seen(meta)
		if err != nil {
			return list, err
		}
		list.Objects = append(list.Objects, object)
	}
	return list, nil
}

// ParseObject reads one object in JSON or protobuf.
func ParseObject(body []byte) (Seen, error) {
	if raw, err := unwrap(body); err == nil {
		var message metav1.PartialObjectMetadata
		if err := message.Unmarshal(raw); err != nil {
			return Seen{}, err
		}
		return seen(message.ObjectMeta)
	}
	var d document
	if err := json.Unmarshal(body, &d); err != nil {
		return Seen{}, err
	}
	return seen(d.meta())
}

var envelope = []byte("k8s\x00")

func unwrap(body []byte) ([]byte, error) {
	if !bytes.HasPrefix(body, envelope) {
		return nil, errors.New("no protobuf of Kubernetes")
	}
	var unknown runtime.Unknown
	if err := unknown.Unmarshal(body[len(envelope):]); err != nil {
		return nil, err
	}
	return unknown.Raw, nil
}

// ParseEvents reads a watch's events. One that was cut in the middle is left out, and `cut` says so.
func ParseEvents(contentType string, body []byte) (events []Event, cut bool, err error) {
	next := jsonEvents(body)
	if strings.HasPrefix(contentType, runtime.ContentTypeProtobuf) {
		next = protobufEvents(body)
	}
	for {
		event, err := next()
		switch {
		case err == io.EOF:
			return events, false, nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return events, true, nil
		case err != nil:
			return events, false, fmt.Errorf("event %d: %w", len(events), err)
		}
		events = append(events, event)
	}
}

func jsonEvents(body []byte) func() (Event, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	return func() (Event, error) {
		var message struct {
			Type   string
			Object document
		}
		if err := decoder.Decode(&message); err != nil {
			return Event{}, err
		}
		d := &message.Object
		if len(d.Rows) == 1 {
			d = &d.Rows[0].Object
		}
		if message.Type == "ERROR" {
			return Event{Type: message.Type, Code: d.Code, Message: d.Message}, nil
		}
		return newEvent(message.Type, d.meta())
	}
}

func protobufEvents(body []byte) func() (Event, error) {
	return func() (Event, error) {
		if len(body) == 0 {
			return Event{}, io.EOF
		}
		if len(body) < 4 || uint64(len(body)) < 4+uint64(binary.BigEndian.Uint32(body)) {
			return Event{}, io.ErrUnexpectedEOF
		}
		size := binary.BigEndian.Uint32(body)
		frame := body[4 : 4+size]
		body = body[4+size:]
		var message metav1.WatchEvent
		if err := message.Unmarshal(frame); err != nil {
			return Event{}, err
		}
		raw, err := unwrap(message.Object.Raw)
		if err != nil {
			return Event{}, err
		}
		if message.Type == "ERROR" {
			var status metav1.Status
			if err := status.Unmarshal(raw); err != nil {
				return Event{}, err
			}
			return Event{Type: message.Type, Code: int(status.Code), Message: status.Message}, nil
		}
		var object metav1.PartialObjectMetadata
		if err := object.Unmarshal(raw); err != nil {
			return Event{}, err
		}
		return newEvent(message.Type, object.ObjectMeta)
	}
}

func newEvent(kind string, meta metav1.ObjectMeta) (Event, error) {
	object, err := seen(meta)
	if kind == "BOOKMARK" {
		object.Key = "" // a stream's has the namespace "default"
	}
	return Event{Type: kind, Seen: object, InitialEnd: meta.Annotations[metav1.InitialEventsAnnotationKey] == "true"}, err
}

// CheckList says what a whole list has wrong.
func (t Timeline) CheckList(list List) error {
	got := State{}
	for i, object := range list.Objects {
		if _, twice := got[object.Key]; twice {
			return fmt.Errorf("%s is listed twice", object.Key)
		}
		if i > 0 && object.Key < list.Objects[i-1].Key {
			return fmt.Errorf("%s comes after %s", object.Key, list.Objects[i-1].Key)
		}
		got[object.Key] = object.Object
	}
	if err := t.At(list.Revision).Difference(got); err != nil {
		return fmt.Errorf("a list of revision %d: %w", list.Revision, err)
	}
	return nil
}

// A Watch is what was asked for and what came.
type Watch struct {
	From    int64 // its resourceVersion; 0: all that is there, and then what changes
	Initial bool  // sendInitialEvents
	Events  []Event
}

// CheckWatch says what a watch's events have wrong, and up to which revision they told everything.
func (t Timeline) CheckWatch(w Watch) (upTo int64, err error) {
	if w.From == 0 || w.Initial {
		return t.checkInitial(w)
	}
	return t.checkChanges(w.From, w.Events)
}

// checkChanges: after a revision every change comes, as it was and where it was.
func (t Timeline) checkChanges(from int64, events []Event) (upTo int64, err error) {
	changes := t.After(from)
	upTo = from
	for i, event := range events {
		switch event.Type {
		case "BOOKMARK":
			if event.Revision < upTo {
				return upTo, fmt.Errorf("event %d: a bookmark of %d after revision %d", i, event.Revision, upTo)
			}
			if len(changes) > 0 && changes[0].Revision <= event.Revision {
				return upTo, fmt.Errorf("event %d: a bookmark of %d, and revision %d (%s) is missing", i, event.Revision,
					changes[0].Revision, changes[0].Key)
			}
		case "ERROR":
			if i != len(events)-1 {
				return upTo, fmt.Errorf("event %d: more events after an error", i)
			}
			return upTo, nil
		default:
			if event.Revision <= upTo {
				return upTo, fmt.Errorf("event %d: %s of %s at %d after revision %d", i, event.Type, event.Key,
					event.Revision, upTo)
			}
			if len(changes) == 0 {
				return upTo, fmt.Errorf("event %d: %s of %s at %d, where nothing changed", i, event.Type, event.Key,
					event.Revision)
			}
			if want := changes[0].event(); event != want {
				return upTo, fmt.Errorf("event %d is %v and should be %v", i, event, want)
			}
			changes = changes[1:]
		}
		upTo = event.Revision
	}
	return upTo, nil
}

func (c Change) event() Event {
	kind := "MODIFIED"
	if c.Deleted {
		kind = "DELETED"
	} else if c.Created {
		kind = "ADDED"
	}
	return Event{Type: kind, Seen: Seen{c.Key, Object{c.Revision, c.Mark}}}
}

// checkInitial: first all objects of some revision, each as added, then the changes after it. A bookmark says which one
// it was if that was asked for; else it is one for which the rest is right.
func (t Timeline) checkInitial(w Watch) (upTo int64, err error) {
	state, highest := State{}, int64(0)
	for n := 0; ; n++ {
		if n == len(w.Events) || w.Events[n].Type != "ADDED" || w.Events[n].Revision > highest {
			if upTo, ok, err := t.continues(w, n, state, highest); ok {
				return upTo, err
			}
		}
		if n == len(w.Events) || w.Events[n].Type != "ADDED" {
			return 0, fmt.Errorf("the first %d events are the state of no revision", n)
		}
		event := w.Events[n]
		if _, twice := state[event.Key]; twice {
			return 0, fmt.Errorf("event %d: %s is added twice", n, event.Key)
		}
		state[event.Key] = event.Object
		highest = max(highest, event.Revision)
	}
}

// continues looks for a revision at which the first n events are all there was.
func (t Timeline) continues(w Watch, n int, state State, highest int64) (upTo int64, ok bool, err error) {
	rest := w.Events[n:]
	if w.Initial {
		if n == len(w.Events) {
			return 0, true, nil // it ended before all was said
		}
		if !rest[0].InitialEnd {
			return 0, false, nil
		}
		if err := t.At(rest[0].Revision).Difference(state); err != nil {
			return 0, true, fmt.Errorf("initial events up to %d: %w", rest[0].Revision, err)
		}
		upTo, err = t.checkChanges(rest[0].Revision, rest)
		return upTo, true, err
	}
	if len(rest) == 0 {
		if t.At(t.Last()).Difference(state) == nil {
			return t.Last(), true, nil
		}
		return 0, true, nil // it is old, or not all: nobody can tell
	}
	at := t.At(highest)
	candidates := append(Timeline{{Revision: highest}}, t.After(highest)...)
	for i, c := range candidates {
		if c.Revision > rest[0].Revision || c.Revision == rest[0].Revision && rest[0].Type != "BOOKMARK" {
			break
		}
		if i > 0 {
			at.apply(c)
		}
		if len(at) == len(state) && at.Difference(state) == nil {
			if upTo, err := t.checkChanges(c.Revision, rest); err == nil {
				return upTo, true, nil
			}
		}
	}
	return 0, false, nil
}
