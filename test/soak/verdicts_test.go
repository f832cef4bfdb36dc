package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	imagev1 "github.com/openshift/api/image/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"strata/test/history"
	"strata/test/rig"
)

func ctx() context.Context { return context.Background() }

func (a *answer) isMissing() bool { return a.code == http.StatusNotFound }

// unexpected is the verdict on what is no answer to such a request.
func (a *answer) unexpected() verdict { return verdict{err: fmt.Errorf("%d %.300s", a.code, a.body)} }

func isThere(a *answer) verdict {
	if len(a.body) == 0 {
		return a.unexpected()
	}
	return verdict{}
}

func isThereOrMissing(a *answer) verdict { return verdict{} }

// isConstant: it was answered so before, by whichever server.
func isConstant(a *answer) verdict {
	return verdict{check: func(timelines) error { return a.world.judge.sameAsBefore(a) }}
}

// inJSON is a body that may be YAML.
func (a *answer) inJSON(body []byte) ([]byte, error) {
	if strings.HasPrefix(a.contentType, yamlForm) {
		return yaml.YAMLToJSON(body)
	}
	return body, nil
}

func isList(a *answer) verdict {
	body, err := a.inJSON(a.body)
	if err != nil {
		return verdict{err: err}
	}
	list, err := history.ParseList(body)
	if err != nil {
		return verdict{err: err}
	}
	for _, page := range a.pages {
		next, err := history.ParseList(page)
		if err == nil && next.Revision != list.Revision {
			err = fmt.Errorf("a page of revision %d after one of %d", next.Revision, list.Revision)
		}
		if err != nil {
			return verdict{err: err}
		}
		list.Objects = append(list.Objects, next.Objects...)
	}
	target, err := url.Parse(a.path)
	if err != nil {
		return verdict{err: err}
	}
	if target.Query().Get("resourceVersion") != "0" && list.Revision < a.oldest {
		return verdict{err: fmt.Errorf("a list of revision %d, and %d was acknowledged before", list.Revision, a.oldest)}
	}
	resource, _ := history.ResourceOf(target.Path)
	return verdict{upTo: list.Revision, check: func(t timelines) error {
		return t[resource].Selected(target).CheckList(list)
	}}
}

func isStream(a *answer) verdict { return isObject(a, "imagestreams") }
func isImage(a *answer) verdict  { return isObject(a, "images") }

// isObject: the object was so, or was not, at some moment since it was asked for.
func isObject(a *answer, resource string) verdict {
	key := keyOf(a.path)
	if a.isMissing() {
		return verdict{upTo: a.newest, check: func(t timelines) error { return t[resource].CheckObject(key, a.oldest, nil) }}
	}
	body, err := a.inJSON(a.body)
	if err != nil {
		return verdict{err: err}
	}
	seen, err := history.ParseObject(body)
	if err == nil && seen.Key != key {
		err = fmt.Errorf("it is %s", seen.Key)
	}
	if err != nil {
		return verdict{err: err}
	}
	return verdict{upTo: max(a.newest, seen.Revision), check: func(t timelines) error {
		return t[resource].CheckObject(key, a.oldest, &seen.Object)
	}}
}

// keyOf is the object's that a path names.
func keyOf(path string) string {
	parts := strings.Split(strings.TrimPrefix(path, ofImages), "/")
	if parts[0] == "namespaces" {
		return parts[1] + "/" + parts[3]
	}
	return parts[1]
}

// isLayers: the stream's layers are those of the image that it named then, if that was there.
func isLayers(a *answer) verdict {
	key := keyOf(a.path)
	if a.isMissing() {
		return verdict{upTo: a.newest, check: func(t timelines) error { return t["imagestreams"].CheckObject(key, a.oldest, nil) }}
	}
	layers, err := a.layers()
	if err != nil {
		return verdict{err: err}
	}
	revision, err := strconv.ParseInt(layers.ResourceVersion, 10, 64)
	if err != nil {
		return verdict{err: err}
	}
	return verdict{upTo: max(a.newest, revision), check: func(t timelines) error {
		stream, there := t["imagestreams"].At(revision)[key]
		if !there || stream.Revision != revision {
			return fmt.Errorf("%s didn't change at %d", key, revision)
		}
		if err := t["imagestreams"].CheckObject(key, a.oldest, &stream); err != nil {
			return err
		}
		return checkReferences(t["images"], layers, history.Image(stream.Mark), a.oldest)
	}}
}

func (a *answer) layers() (*imagev1.ImageStreamLayers, error) {
	layers := &imagev1.ImageStreamLayers{}
	if raw, protobuf := strings.CutPrefix(string(a.body), "k8s\x00"); protobuf {
		var unknown runtime.Unknown
		if err := unknown.Unmarshal([]byte(raw)); err != nil {
			return nil, err
		}
		return layers, layers.Unmarshal(unknown.Raw)
	}
	body, err := a.inJSON(a.body)
	if err != nil {
		return nil, err
	}
	return layers, json.Unmarshal(body, layers)
}

func checkReferences(images history.Timeline, layers *imagev1.ImageStreamLayers, name string, oldest int64) error {
	image, ok := layers.Images[name]
	if !ok || len(layers.Images) != 1 {
		return fmt.Errorf("it has %d images, and not %s", len(layers.Images), name)
	}
	if image.ImageMissing {
		return images.CheckObject(name, oldest, nil)
	}
	if _, ok := layers.Blobs[rig.Digest(7)]; !ok || len(image.Layers) != 1 || image.Layers[0] != rig.Digest(7) {
		return fmt.Errorf("%s has layers %v, and there are %d blobs", name, image.Layers, len(layers.Blobs))
	}
	if images.NeverSince(name, oldest) {
		return fmt.Errorf("%s has layers, and wasn't there at %d or after it", name, oldest)
	}
	return nil
}
