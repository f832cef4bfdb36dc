package model

import (
	"fmt"
	"strings"
)

// Reference names an image of a stream as people write it: [NAMESPACE/]STREAM[:TAG|@DIGEST].
type Reference struct {
	Namespace, Stream, Tag, Digest string
}

// ParseReference takes a namespace from `namespace` if the text has none.
func ParseReference(text, namespace string) (Reference, error) {
	r := Reference{Namespace: namespace, Stream: text}
	if before, after, found := strings.Cut(text, "/"); found {
		r.Namespace, r.Stream = before, after
	}
	if before, after, found := strings.Cut(r.Stream, "@"); found {
		r.Stream, r.Digest = before, after
		if r.Digest == "" {
			return r, fmt.Errorf("%q has no digest behind its @", text)
		}
	} else if before, after, found := strings.Cut(r.Stream, ":"); found {
		r.Stream, r.Tag = before, after
		if r.Tag == "" {
			return r, fmt.Errorf("%q has no tag behind its colon", text)
		}
	}
	if r.Namespace == "" || r.Stream == "" || strings.ContainsAny(r.Stream, "/:@") {
		return r, fmt.Errorf("%q is no image stream: [NAMESPACE/]STREAM[:TAG] or [NAMESPACE/]STREAM@DIGEST", text)
	}
	return r, nil
}

// String is the reference without its namespace.
func (r Reference) String() string {
	switch {
	case r.Digest != "":
		return r.Stream + "@" + Short(r.Digest)
	case r.Tag != "":
		return r.Stream + ":" + r.Tag
	}
	return r.Stream
}

// Full is the reference with its namespace.
func (r Reference) Full() string { return r.Namespace + "/" + r.String() }

// ParsePullSpec finds stream and digest in an image of a pod, REGISTRY/NAMESPACE/STREAM[:TAG]@DIGEST; false if it isn't
// of that form.
func ParsePullSpec(image string) (Reference, bool) {
	image = strings.TrimPrefix(image, "docker-pullable://")
	name, digest, _ := strings.Cut(image, "@")
	parts := strings.Split(name, "/")
	if len(parts) != 3 {
		return Reference{Digest: digest}, false
	}
	stream, tag, _ := strings.Cut(parts[2], ":")
	return Reference{Namespace: parts[1], Stream: stream, Tag: tag, Digest: digest}, true
}

// Short is a digest's beginning, by which people know it again, and which commands take for it.
func Short(digest string) string {
	const hex = 12
	algorithm, value, found := strings.Cut(digest, ":")
	if !found || len(value) <= hex {
		return digest
	}
	return algorithm + ":" + value[:hex]
}
