package store

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"

	"strata/test/rig"
)

// A new watch on the past is served by etcd's loop of every 100 ms.
const syncs = 250 * time.Millisecond

type cancelWatch struct{ id int64 }
type askProgress struct{}

// steadily reports what `compare` finds and finds again with eight times the patience: nothing says that a watch has
// told all, so a story ends where it's quiet for a while, and the first while may be too short for a busy machine.
func steadily(t *testing.T, compare func(patience time.Duration) string) {
	t.Helper()
	difference := compare(1)
	if difference != "" {
		t.Logf("once more, with patience: %s", difference)
		difference = compare(8)
	}
	if difference != "" {
		t.Error(difference)
	}
}

// What a stream brings after the steps, by watch: who was made and ended and why, and all events in their order. How
// events are gathered into messages is the server's affair. Quiet is waited for so many times as long as it takes.
func watchStory(t *testing.T, conn *grpc.ClientConn, steps []any, patience time.Duration) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
	defer cancel()
	stream, err := pb.NewWatchClient(conn).Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	responses := make(chan *pb.WatchResponse, 10_000)
	go func() {
		defer close(responses)
		for {
			response, err := stream.Recv()
			if err != nil {
				return
			}
			responses <- response
		}
	}()
	story := map[int64][]string{}
	var ids []int64
	hear := func(quiet time.Duration) {
		for {
			select {
			case r, ok := <-responses:
				if !ok {
					return
				}
				if _, known := story[r.WatchId]; !known {
					ids = append(ids, r.WatchId)
				}
				story[r.WatchId] = append(story[r.WatchId], tell(r)...)
			case <-time.After(patience * quiet):
				return
			}
		}
	}
	for _, step := range steps {
		switch s := step.(type) {
		case *pb.WatchCreateRequest:
			err = stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: s}})
			hear(syncs)
		case cancelWatch:
			err = stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{
				CancelRequest: &pb.WatchCancelRequest{WatchId: s.id}}})
			hear(syncs)
		case askProgress:
			hear(150 * time.Millisecond)
			err = stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{
				ProgressRequest: &pb.WatchProgressRequest{}}})
			hear(150 * time.Millisecond)
		default:
			ask(ctx, conn, s)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	hear(300 * time.Millisecond)
	var text strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&text, "watch %d: %s\n", id, strings.Join(story[id], ", "))
	}
	return text.String()
}

func tell(r *pb.WatchResponse) []string {
	var told []string
	if r.Created {
		told = append(told, "created")
	}
	for _, event := range r.Events {
		text := fmt.Sprintf("%s %s", event.Type, kvText(event.Kv))
		if event.PrevKv != nil {
			text += " before: " + kvText(event.PrevKv)
		}
		told = append(told, text)
	}
	if r.Canceled {
		told = append(told, fmt.Sprintf("canceled %q, compacted %d", r.CancelReason, r.CompactRevision))
	}
	if !r.Created && !r.Canceled && len(r.Events) == 0 {
		told = append(told, fmt.Sprintf("progress %d", r.Header.Revision))
	}
	return told
}

func kvText(kv *mvccpb.KeyValue) string {
	return fmt.Sprintf("%q=%.20q@%d/%d/%d/%d", kv.Key, kv.Value, kv.CreateRevision, kv.ModRevision, kv.Version, kv.Lease)
}

func watch(key, end string, change ...func(*pb.WatchCreateRequest)) *pb.WatchCreateRequest {
	r := &pb.WatchCreateRequest{Key: []byte(key), RangeEnd: []byte(end)}
	for _, one := range change {
		one(r)
	}
	return r
}

func from(revision int64) func(*pb.WatchCreateRequest) {
	return func(r *pb.WatchCreateRequest) { r.StartRevision = revision }
}
func withPrev(r *pb.WatchCreateRequest) { r.PrevKv = true }
func withID(id int64) func(*pb.WatchCreateRequest) {
	return func(r *pb.WatchCreateRequest) { r.WatchId = id }
}
func without(filters ...pb.WatchCreateRequest_FilterType) func(*pb.WatchCreateRequest) {
	return func(r *pb.WatchCreateRequest) { r.Filters = filters }
}

func TestWatchesTellWhatEtcdTells(t *testing.T) {
	history := []any{put("w1", "1"), put("w2", "1"), put("w1", "2"), erase("w2", ""), then(put("w3", "1"), put("w4", "1"))}
	change := []any{put("w1", "3"), erase("w1", ""), put("w1", "4"), then(erase("w", "x"), put("y", "1"))}
	stories := map[string][]any{
		"new ones":             append([]any{watch("w1", ""), watch("w", "x")}, change...),
		"one key of many":      append([]any{watch("w1", "", withPrev)}, change...),
		"all":                  append([]any{watch("\x00", "\x00", withPrev)}, change...),
		"from one on":          append([]any{watch("w3", "\x00")}, change...),
		"the past":             {watch("w", "x", from(2), withPrev)},
		"the past, and on":     append([]any{watch("w", "x", from(4))}, change...),
		"the future":           append([]any{watch("w", "x", from(8))}, change...),
		"no puts":              append([]any{watch("w", "x", from(2), without(pb.WatchCreateRequest_NOPUT))}, change...),
		"no deletes":           append([]any{watch("w", "x", from(2), without(pb.WatchCreateRequest_NODELETE))}, change...),
		"neither":              append([]any{watch("w", "x", from(2), without(0, 1))}, change...),
		"an empty key":         append([]any{watch("", "")}, change...),
		"the wrong way round":  append([]any{watch("x", "w")}, change...),
		"a chosen name":        append([]any{watch("w1", "", withID(7)), watch("w", "x"), watch("w", "x", withID(9))}, change...),
		"a name twice":         append([]any{watch("w1", "", withID(7)), watch("w", "x", withID(7))}, change...),
		"ended":                append([]any{watch("w1", ""), watch("w", "x"), cancelWatch{0}}, change...),
		"ended twice":          {watch("w1", ""), cancelWatch{0}, cancelWatch{0}, cancelWatch{5}},
		"compacted":            {&pb.CompactionRequest{Revision: 5}, watch("w", "x", from(3)), watch("w", "x", from(5))},
		"compacted under way":  append([]any{watch("w", "x", from(2)), &pb.CompactionRequest{Revision: 6}}, change...),
		"progress":             append(append([]any{watch("w", "x")}, change...), askProgress{}),
		"progress of a future": {watch("w", "x", from(99)), askProgress{}},
		"a lease":              {watch("w", "x", withPrev), &pb.LeaseGrantRequest{ID: 7, TTL: 60}, &pb.PutRequest{Key: []byte("w9"), Lease: 7}, &pb.LeaseRevokeRequest{ID: 7}},
		"a large history":      {watch("w", "x", from(2), func(r *pb.WatchCreateRequest) { r.Fragment = true })},
	}
	for name, steps := range stories {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// 3.4 begins a watch at the compacted revision one later, and tells of progress before its start.
			excused := map[string]bool{"etcd-3.4/compacted": true, "etcd-3.4/progress of a future": true}
			steadily(t, func(patience time.Duration) (differences string) {
				told := map[string]string{}
				for _, backend := range rig.Backends(t) {
					conn := rig.StartBackend(t, backend).Client(t).ActiveConnection()
					for _, request := range history {
						ask(context.Background(), conn, request)
					}
					told[backend] = watchStory(t, conn, steps, patience)
				}
				for backend, story := range told {
					if story != told["etcd-3.6"] && !excused[backend+"/"+name] {
						differences += fmt.Sprintf("%s:\n%s   etcd 3.6:\n%s", backend, story, told["etcd-3.6"])
					}
				}
				return differences
			})
		})
	}
}
