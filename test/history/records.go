package history

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	imagev1 "github.com/openshift/api/image/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"strata/test/rig"
)

// MarkAnnotation holds an object's mark.
const MarkAnnotation = "strata.test/mark"

// HalfLabel says which half of all contents one belongs to, so that changes enter and leave a selection.
const HalfLabel = "strata.test/half"

// Half is the label's value for a mark.
func Half(mark int64) string {
	if mark%2 == 0 {
		return "even"
	}
	return "odd"
}

// Image is the one that a stream with a mark names, one of the first that there are.
func Image(mark int64) string { return rig.Digest(int(mark % 64)) }

// A kind of records.
type kind struct {
	resource string
	key      func(i int) string // of the object
	etcdKey  func(key string) string
	value    func(t *testing.T, meta metav1.ObjectMeta) string
}

var kinds = []kind{
	{"imagestreams",
		func(i int) string { return fmt.Sprintf("%s/stream-%03d", Namespaces[i%len(Namespaces)], i) },
		func(key string) string { return "/openshift.io/imagestreams/" + key },
		func(t *testing.T, meta metav1.ObjectMeta) string {
			mark, _ := strconv.ParseInt(meta.Annotations[MarkAnnotation], 10, 64)
			return rig.Encode(t, "ImageStream", &imagev1.ImageStream{ObjectMeta: meta,
				Spec: imagev1.ImageStreamSpec{Tags: []imagev1.TagReference{{Name: "latest"}}},
				Status: imagev1.ImageStreamStatus{Tags: []imagev1.NamedTagEventList{{Tag: "latest",
					Items: []imagev1.TagEvent{{Created: meta.CreationTimestamp, Image: Image(mark)}}}}}})
		}},
	{"images",
		func(i int) string { return rig.Digest(i) },
		rig.ImageKey,
		func(t *testing.T, meta metav1.ObjectMeta) string {
			return rig.Encode(t, "Image", &imagev1.Image{ObjectMeta: meta,
				DockerImageReference: "registry.example/app@" + meta.Name,
				DockerImageMetadata: runtime.RawExtension{
					Raw: []byte(`{"kind":"DockerImage","apiVersion":"image.openshift.io/1.0","Id":"of-` + meta.Name + `"}`)},
				DockerImageLayers: []imagev1.ImageLayer{
					{Name: rig.Digest(7), LayerSize: 10, MediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip"}},
			})
		}},
}

// Namespaces are those of the streams.
var Namespaces = []string{"load-a", "load-b", "load-c"}

// meta of the object with a key. Its uid is of its life: from created to deleted.
func meta(key string, created, mark int64) metav1.ObjectMeta {
	namespace, name := split(key)
	return metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(fmt.Sprintf("uid-%d", created)),
		CreationTimestamp: metav1.NewTime(time.Unix(1_700_000_000+created, 0)),
		Labels:            map[string]string{HalfLabel: Half(mark)},
		Annotations:       map[string]string{MarkAnnotation: strconv.FormatInt(mark, 10)}}
}
