// Package model has what commands reason about: streams, their images and layers. It knows no server and no terminal.
package model

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode"

	"strata/clients/kubectl-layers/api"
)

// Layer of an image.
type Layer struct {
	Digest    string
	Size      int64
	MediaType string
}

// Image of a stream: layers or, if it is a list for several platforms, children.
type Image struct {
	Digest, MediaType, Platform string
	Config                      string
	Layers                      []Layer // base first; one may stand there more than once
	Children                    []string
	Missing                     bool
}

// Distinct are the layers, each once.
func (i *Image) Distinct() []Layer {
	seen := make(map[string]bool, len(i.Layers))
	var distinct []Layer
	for _, layer := range i.Layers {
		if !seen[layer.Digest] {
			seen[layer.Digest] = true
			distinct = append(distinct, layer)
		}
	}
	return distinct
}

// Size is the bytes of all layers, each counted once.
func (i *Image) Size() int64 { return SizeOf(i.Distinct()) }

// SizeOf is the bytes of these layers.
func SizeOf(layers []Layer) int64 {
	var size int64
	for _, layer := range layers {
		size = AddSize(size, layer.Size)
	}
	return size
}

// AddSize is the sum and a size more, as servers add what records say: less than nothing is nothing, and a sum ends at the
// most that can be said.
func AddSize(sum, size int64) int64 { return sum + min(max(size, 0), math.MaxInt64-sum) }

// Tag of a stream, with the images that it has pointed at, newest first.
type Tag struct {
	Name   string
	Images []string
}

// Stream is an image stream.
type Stream struct {
	Namespace, Name string
	Tags            []Tag
	Images          map[string]*Image
}

// NewStream puts together what a server says of a stream; `stream` is nil where only the layers are known.
func NewStream(stream *api.ImageStream, layers *api.ImageStreamLayers) *Stream {
	s := &Stream{Namespace: layers.Namespace, Name: layers.Name, Images: make(map[string]*Image, len(layers.Images))}
	for digest, contents := range layers.Images {
		image := &Image{Digest: digest, MediaType: layers.Blobs[digest].MediaType,
			Config: contents.Config, Children: contents.Manifests, Missing: contents.ImageMissing}
		for _, name := range contents.Layers {
			layer := Layer{Digest: name}
			if blob, known := layers.Blobs[name]; known {
				layer.MediaType = blob.MediaType
				if blob.Size != nil {
					layer.Size = *blob.Size
				}
			}
			image.Layers = append(image.Layers, layer)
		}
		s.Images[digest] = image
	}
	if stream != nil {
		for _, history := range stream.Status.Tags {
			tag := Tag{Name: history.Tag}
			for _, item := range history.Items {
				if item.Image != "" {
					tag.Images = append(tag.Images, item.Image)
				}
			}
			s.Tags = append(s.Tags, tag)
		}
	}
	return s
}

// Lists tells whether an image is a list that names another one.
func (s *Stream) Lists(list, image string) bool {
	return s.Images[list] != nil && slices.Contains(s.Images[list].Children, image)
}

// Sorted are the images by digest.
func (s *Stream) Sorted() []*Image {
	images := make([]*Image, 0, len(s.Images))
	for _, image := range s.Images {
		images = append(images, image)
	}
	sort.Slice(images, func(a, b int) bool { return images[a].Digest < images[b].Digest })
	return images
}

// Tag by its name; nil if there is none.
func (s *Stream) Tag(name string) *Tag {
	for i := range s.Tags {
		if s.Tags[i].Name == name {
			return &s.Tags[i]
		}
	}
	return nil
}

// Find is the image that a reference means. Without tag and digest it is the tag `latest`, or the only one that there is.
func (s *Stream) Find(r Reference) (*Image, error) {
	if r.Digest != "" {
		return s.findDigest(r)
	}
	name := r.Tag
	if name == "" {
		name = "latest"
		if s.Tag(name) == nil && len(s.Tags) == 1 {
			name = s.Tags[0].Name
		}
	}
	tag := s.Tag(name)
	if tag == nil {
		return nil, fmt.Errorf("imagestream %q has no tag %q%s", s.Name, name, s.otherTags())
	}
	if len(tag.Images) == 0 {
		return nil, fmt.Errorf("tag %q of imagestream %q has no image yet", name, s.Name)
	}
	return s.image(tag.Images[0]), nil
}

func (s *Stream) findDigest(r Reference) (*Image, error) {
	var found []string
	for digest := range s.Images {
		if MatchesDigest(digest, r.Digest) {
			found = append(found, digest)
		}
	}
	sort.Strings(found)
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("imagestream %q has no image %q", s.Name, r.Digest)
	case 1:
		return s.Images[found[0]], nil
	}
	return nil, fmt.Errorf("%q is the beginning of %d images of imagestream %q: %s", r.Digest, len(found), s.Name,
		strings.Join(found, ", "))
}

// MatchesDigest tells whether `text` is the digest or its beginning, with or without the algorithm.
func MatchesDigest(digest, text string) bool {
	_, hex, _ := strings.Cut(digest, ":")
	return text != "" && (strings.HasPrefix(digest, text) || strings.HasPrefix(hex, text))
}

// image that a tag points at: it is missing if the layers don't know it either.
func (s *Stream) image(digest string) *Image {
	if image := s.Images[digest]; image != nil {
		return image
	}
	return &Image{Digest: digest, Missing: true}
}

// Current is the image that the tag points at; nil if there is none.
func (s *Stream) Current(tag Tag) *Image {
	if len(tag.Images) == 0 {
		return nil
	}
	return s.image(tag.Images[0])
}

// Leaves are the images with layers that an image stands for: its children, or itself.
func (s *Stream) Leaves(image *Image) []*Image {
	if len(image.Children) == 0 {
		return []*Image{image}
	}
	var leaves []*Image
	for _, digest := range image.Children {
		leaves = append(leaves, s.image(digest))
	}
	return leaves
}

func (s *Stream) otherTags() string {
	if len(s.Tags) == 0 {
		return ": it has none"
	}
	const most = 10
	var names []string
	for _, tag := range s.Tags {
		name := tag.Name
		if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
			name = strconv.Quote(name) // A tag's name may be anything.
		}
		names = append(names, name)
	}
	if len(names) > most {
		names = append(names[:most], "...")
	}
	return ": it has " + strings.Join(names, ", ")
}
