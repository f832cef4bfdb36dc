package soak

import (
	"fmt"
	"math/rand"
	"net/http"

	"strata/test/history"
	"strata/test/rig"
)

const (
	protobuf     = "application/vnd.kubernetes.protobuf"
	yamlForm     = "application/yaml"
	table        = "application/json;as=Table;v=v1;g=meta.k8s.io"
	metadata     = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
	metadataList = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
	protobufMeta = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"

	ofImages = "/apis/image.openshift.io/v1/"
	ofLayers = "/apis/layers.strata.dev/v1alpha1/"
)

// An ask is one kind of request, and how its answers are judged.
type ask struct {
	path  func(r *rand.Rand) string
	forms []string
	judge func(a *answer) verdict
}

// A verdict is fallen once all changes up to a revision are known.
type verdict struct {
	upTo  int64
	check func(timelines) error
	err   error // it is wrong as it stands
}

type timelines map[string]history.Timeline

func always(path string) func(*rand.Rand) string { return func(*rand.Rand) string { return path } }

func someNamespace(r *rand.Rand) string { return history.Namespaces[r.Intn(len(history.Namespaces))] }

func someStream(r *rand.Rand) (namespace, name string) {
	i := r.Intn(objects)
	return history.Namespaces[i%len(history.Namespaces)], fmt.Sprintf("stream-%03d", i)
}

// ofStream is a path of some stream, by a format that names its namespace and its name.
func ofStream(format string) func(*rand.Rand) string {
	return func(r *rand.Rand) string {
		namespace, name := someStream(r)
		return fmt.Sprintf(format, namespace, name)
	}
}

func ofImage(prefix string) func(*rand.Rand) string {
	return func(r *rand.Rand) string { return prefix + rig.Digest(r.Intn(objects)) }
}

var listForms = []string{"", protobuf, yamlForm, table, metadataList, protobufMeta}

// anywhere is asked of every server, and always answered alike.
var anywhere = []ask{
	{always("/apis"), []string{"", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}, isConstant},
	{always("/apis/image.openshift.io"), []string{"", protobuf, yamlForm}, isConstant},
	{always("/apis/image.openshift.io/v1"), []string{"", protobuf}, isConstant},
	{always("/apis/layers.strata.dev/v1alpha1"), []string{""}, isConstant},
	{always("/openapi/v2"), []string{""}, isConstant},
	{always("/openapi/v3"), []string{""}, isConstant},
	{always("/openapi/v3/apis/image.openshift.io/v1"), []string{""}, isConstant},
	{always("/version"), []string{""}, isConstant},
	{always("/livez"), []string{""}, isConstant},
	{always("/readyz?verbose"), []string{""}, isThere},
	{always("/metrics"), []string{""}, isThere},
}

// ofObjects is asked of servers whose records change.
var ofObjects = []ask{
	{ofStream(ofImages + "namespaces/%s/imagestreams/%s/layers"), []string{"", "", "", protobuf, protobuf, yamlForm}, isLayers},
	{ofStream(ofImages + "namespaces/%s/imagestreams/%s"), []string{"", protobuf, yamlForm, metadata}, isStream},
	{ofImage(ofImages + "images/"), []string{"", protobuf, yamlForm, metadata}, isImage},
	{ofStream(ofImages + "namespaces/%s/imagestreamtags/%s:latest"), []string{"", protobuf, table}, isThereOrMissing},
	{ofStream(ofImages + "namespaces/%s/imagetags/%s:latest"), []string{"", protobuf}, isThereOrMissing},
	{ofStream(ofLayers + "namespaces/%s/imagestreamlayers/%s"), []string{"", protobuf, table}, isThereOrMissing},
	{ofImage(ofLayers + "imagelayers/"), []string{"", yamlForm}, isThereOrMissing},
}

// ofMany is asked of servers that follow an etcd, whose lists are as of one of its revisions.
var ofMany = []ask{
	{always(ofImages + "imagestreams"), listForms, isList},
	{always(ofImages + "images"), listForms, isList},
	{always(ofImages + "imagestreams?labelSelector=" + history.HalfLabel + "=odd"), listForms, isList},
	{always(ofImages + "images?labelSelector=" + history.HalfLabel + "=even"), listForms, isList},
	{always(ofImages + "imagestreams?fieldSelector=metadata.name=stream-007"), listForms, isList},
	{always(ofImages + "imagestreams?resourceVersion=0"), listForms, isList},
	{always(ofImages + "images?limit=37"), []string{"", protobuf, table}, isList},
	{always(ofImages + "imagestreams?limit=50"), []string{"", protobuf}, isList},
	{func(r *rand.Rand) string { return ofImages + "namespaces/" + someNamespace(r) + "/imagestreams" }, listForms, isList},
	{func(r *rand.Rand) string { return ofImages + "namespaces/" + someNamespace(r) + "/imagestreamtags" }, []string{"", table}, isThere},
	{func(r *rand.Rand) string { return ofImages + "namespaces/" + someNamespace(r) + "/imagetags" }, []string{"", protobuf}, isThere},
	{func(r *rand.Rand) string { return ofLayers + "namespaces/" + someNamespace(r) + "/imagestreamlayers" }, []string{"", table}, isThere},
	{always(ofLayers + "imagelayers?limit=60"), []string{""}, isThere},
	{always(ofLayers + "blobs/" + rig.Digest(7)), []string{"", table}, isThere},
	{always(ofLayers + "layerusages"), []string{"", table}, isThere},
}

// ofManyByKube is asked of the server that follows an API server: its lists are in the order in which events came there.
var ofManyByKube = []ask{
	{always(ofImages + "imagestreams"), listForms, isThere},
	{always(ofImages + "images"), listForms, isThere},
	{always(ofLayers + "layerusages"), []string{"", table}, isThere},
}

// overOwn is asked of servers whose records never change.
var overOwn = []ask{
	{ofOwn("/layers"), []string{"", protobuf, yamlForm}, isConstant},
	{ofOwn(""), []string{"", protobuf, table}, isConstant},
	{always(ofImages + "images"), listForms, isConstant},
	{always(ofImages + "namespaces/own/imagestreams"), listForms, isConstant},
	{always(ofLayers + "namespaces/own/imagestreamlayers"), []string{"", table}, isThere},
}

// What tells that a server answers right.
var (
	oneStream = ask{always(ofImages + "imagestreams?fieldSelector=metadata.name=stream-007"), []string{""}, isList}
	someList  = ask{always(ofImages + "imagestreams?limit=1"), []string{""}, isThere}
	ownLayers = ask{always(ofImages + "namespaces/own/imagestreams/app-1/layers"), []string{""}, isConstant}
)

func ofOwn(sub string) func(*rand.Rand) string {
	return func(r *rand.Rand) string {
		return fmt.Sprintf("%snamespaces/own/imagestreams/app-%d%s", ofImages, r.Intn(20), sub)
	}
}

// read asks a server at random, until the world stops.
func (w *world) read(s *server, asks []ask, seed int64) {
	defer w.working.Done()
	random := rand.New(rand.NewSource(seed))
	c := s.client(seed%2 == 0)
	for w.sleep(100, 500, random) {
		if random.Intn(50) == 0 { // connections come and go, too
			c.close()
			c = s.client(random.Intn(2) == 0)
		}
		one := asks[random.Intn(len(asks))]
		c.gzip = random.Intn(3) == 0
		w.judge.take(w, c.whole(one.path(random), one.forms[random.Intn(len(one.forms))]), one.judge)
	}
	c.close()
}

// whole is the answer, of all pages where a list has several.
func (c *client) whole(path, form string) *answer {
	first := c.ask(ctx(), path, form)
	for page := first; page.err == nil && page.code == http.StatusOK; {
		list, err := history.ParseList(page.body)
		if err != nil || list.Continue == "" {
			break
		}
		page = c.ask(ctx(), path+"&continue="+list.Continue, form)
		if page.err != nil || page.code != http.StatusOK {
			return page
		}
		first.pages, first.ended = append(first.pages, page.body), page.ended
	}
	return first
}
