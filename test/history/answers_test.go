package history

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	imagev1 "github.com/openshift/api/image/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"strata/test/rig"
)

func streamAt(revision, mark int64) imagev1.ImageStream {
	stream := imagev1.ImageStream{ObjectMeta: meta("n/a", 1, mark),
		Spec: imagev1.ImageStreamSpec{DockerImageRepository: "registry.example/a"}}
	stream.ResourceVersion = fmt.Sprint(revision)
	return stream
}

func asJSON(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestListsOfEachFormAreRead(t *testing.T) {
	stream := streamAt(12, 3)
	head := metav1.ListMeta{ResourceVersion: "14", Continue: "token"}
	typed := &imagev1.ImageStreamList{ListMeta: head, Items: []imagev1.ImageStream{stream}}
	partial := metav1.PartialObjectMetadata{ObjectMeta: stream.ObjectMeta}
	table := metav1.Table{TypeMeta: metav1.TypeMeta{Kind: "Table"}, ListMeta: head,
		Rows: []metav1.TableRow{{Cells: []any{"a"}, Object: runtime.RawExtension{Object: &partial}}}}
	want := List{14, "token", []Seen{{"n/a", Object{12, 3}}}}
	for form, body := range map[string][]byte{
		"JSON":     asJSON(t, typed),
		"Table":    asJSON(t, table),
		"metadata": asJSON(t, metav1.PartialObjectMetadataList{ListMeta: head, Items: []metav1.PartialObjectMetadata{partial}}),
		"protobuf": []byte(rig.Encode(t, "ImageStreamList", typed)),
	} {
		if got, err := ParseList(body); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, %v", form, got, err)
		}
	}
}

// framed is an event in protobuf.
func framed(t *testing.T, kind, encoded string) []byte {
	t.Helper()
	event := metav1.WatchEvent{Type: kind, Object: runtime.RawExtension{Raw: []byte(encoded)}}
	message, err := event.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(message))), message...)
}

func TestEventsOfEachFormAreRead(t *testing.T) {
	stream, end := streamAt(12, 3), streamAt(14, 0)
	end.Annotations = map[string]string{metav1.InitialEventsAnnotationKey: "true"}
	gone := metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status"}, Code: 410, Message: "too old"}
	row := metav1.Table{Rows: []metav1.TableRow{{Object: runtime.RawExtension{Raw: asJSON(t, &stream)}}}}
	want := []Event{{Type: "ADDED", Seen: Seen{"n/a", Object{12, 3}}}, {Type: "BOOKMARK", Seen: Seen{"", Object{14, 0}}, InitialEnd: true},
		{Type: "ERROR", Code: 410, Message: "too old"}}
	inJSON := func(first any) []byte {
		return []byte(fmt.Sprintf(`{"type":"ADDED","object":%s}`+"\n"+`{"type":"BOOKMARK","object":%s}`+"\n"+`{"type":"ERROR","object":%s}`,
			asJSON(t, first), asJSON(t, &end), asJSON(t, &gone)))
	}
	frames := framed(t, "ADDED", rig.Encode(t, "ImageStream", &stream))
	frames = append(frames, framed(t, "BOOKMARK", rig.Encode(t, "ImageStream", &end))...)
	frames = append(frames, framed(t, "ERROR", rig.Encode(t, "Status", &gone))...)
	for _, one := range []struct {
		form, contentType string
		body              []byte
	}{
		{"JSON", "application/json", inJSON(&stream)},
		{"Table", "application/json", inJSON(&row)},
		{"protobuf", "application/vnd.kubernetes.protobuf;stream=watch", frames},
	} {
		if got, cut, err := ParseEvents(one.contentType, one.body); err != nil || cut || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, %v, %v", one.form, got, cut, err)
		}
		if got, cut, err := ParseEvents(one.contentType, one.body[:len(one.body)-1]); err != nil || !cut || len(got) != 2 {
			t.Errorf("%s, cut: got %v, %v, %v", one.form, got, cut, err)
		}
	}
}

func TestObjectsOfEachFormAreRead(t *testing.T) {
	stream := streamAt(12, 3)
	for form, body := range map[string][]byte{
		"JSON":     asJSON(t, stream),
		"metadata": asJSON(t, metav1.PartialObjectMetadata{ObjectMeta: stream.ObjectMeta}),
		"protobuf": []byte(rig.Encode(t, "ImageStream", &stream)),
	} {
		if got, err := ParseObject(body); err != nil || got != (Seen{"n/a", Object{12, 3}}) {
			t.Errorf("%s: got %v, %v", form, got, err)
		}
	}
}
