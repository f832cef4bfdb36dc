package history

import (
	"net/url"
	"strconv"
	"strings"
)

// Asked is what a request's query asks of a watch.
func Asked(query url.Values) (from int64, initial bool) {
	from, _ = strconv.ParseInt(query.Get("resourceVersion"), 10, 64)
	return from, query.Get("sendInitialEvents") == "true"
}

const prefix = "/apis/image.openshift.io/v1/"

// ResourceOf is the resource and namespace of a list's or watch's path; "" for all others.
func ResourceOf(path string) (resource, namespace string) {
	rest, ours := strings.CutPrefix(path, prefix)
	parts := strings.Split(strings.TrimPrefix(rest, "watch/"), "/")
	if len(parts) == 3 && parts[0] == "namespaces" {
		namespace, parts = parts[1], parts[2:]
	}
	if !ours || len(parts) != 1 || parts[0] == "" {
		return "", ""
	}
	return parts[0], namespace
}

// IsWatch says whether a request is one.
func IsWatch(target *url.URL) bool {
	watch, err := strconv.ParseBool(target.Query().Get("watch"))
	return err == nil && watch || strings.HasPrefix(target.Path, prefix+"watch/")
}

// Selected is what the path and the selectors of a request select of a timeline.
func (t Timeline) Selected(target *url.URL) Timeline {
	_, namespace := ResourceOf(target.Path)
	half, byHalf := strings.CutPrefix(target.Query().Get("labelSelector"), HalfLabel+"=")
	name, byName := strings.CutPrefix(target.Query().Get("fieldSelector"), "metadata.name=")
	if namespace == "" && !byHalf && !byName {
		return t
	}
	return t.Select(func(key string, mark int64) bool {
		return (namespace == "" || strings.HasPrefix(key, namespace+"/")) && (!byHalf || Half(mark) == half) &&
			(!byName || key[strings.IndexByte(key, '/')+1:] == name)
	})
}
