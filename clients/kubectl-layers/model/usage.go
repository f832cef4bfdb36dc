package model

import "sort"

// Usage is what something takes: a stream, an image, a namespace.
type Usage struct {
	Namespace, Name         string
	Streams, Images, Layers int64
	Size, Unique, Shared    int64
	Missing, Unreadable     int64
	Tags                    []string // an image's, as NAMESPACE/STREAM:TAG
}

// Keys by which Measure sums up.
const (
	ByNamespace = "namespace"
	ByStream    = "stream"
	ByImage     = "image"
)

// Measure sums up streams. A layer is one's own, Unique, where nobody else of these streams has it.
func Measure(streams []*Stream, by string) []Usage {
	m := meter{by: by, rows: map[[2]string]*row{}, owners: map[string]map[*row]bool{}}
	for _, stream := range streams {
		m.add(stream)
	}
	return m.usages()
}

type row struct {
	usage  Usage
	images map[string]bool
	layers map[string]int64
	tags   map[string]bool
}

type meter struct {
	by     string
	rows   map[[2]string]*row
	owners map[string]map[*row]bool // of a layer
}

func (m *meter) row(namespace, name string) *row {
	key := [2]string{namespace, name}
	r := m.rows[key]
	if r == nil {
		r = &row{usage: Usage{Namespace: namespace, Name: name}, images: map[string]bool{}, layers: map[string]int64{},
			tags: map[string]bool{}}
		m.rows[key] = r
	}
	return r
}

func (m *meter) add(stream *Stream) {
	tags := map[string][]string{}
	for _, tag := range stream.Tags {
		if current := stream.Current(tag); current != nil {
			for _, leaf := range stream.Leaves(current) {
				tags[leaf.Digest] = append(tags[leaf.Digest], stream.Namespace+"/"+stream.Name+":"+tag.Name)
			}
		}
	}
	var whole *row
	switch m.by {
	case ByNamespace:
		whole = m.row("", stream.Namespace)
		whole.usage.Streams++
	case ByStream:
		whole = m.row(stream.Namespace, stream.Name)
		whole.usage.Streams++
	}
	for _, image := range stream.Images {
		r := whole
		if r == nil && len(image.Children) != 0 {
			continue // A list has no layers: its images are rows.
		}
		if r == nil {
			r = m.row("", image.Digest)
		}
		m.addImage(r, image)
		if whole != nil {
			continue
		}
		for _, tag := range tags[image.Digest] {
			r.tags[tag] = true
		}
	}
}

func (m *meter) addImage(r *row, image *Image) {
	if r.images[image.Digest] {
		return
	}
	r.images[image.Digest] = true
	if image.Missing {
		r.usage.Missing++
		return
	}
	r.usage.Images++
	for _, layer := range image.Layers {
		if _, known := r.layers[layer.Digest]; !known { // Where streams disagree, the first counts.
			r.layers[layer.Digest] = layer.Size
		}
		if m.owners[layer.Digest] == nil {
			m.owners[layer.Digest] = map[*row]bool{}
		}
		m.owners[layer.Digest][r] = true
	}
}

func (m *meter) usages() []Usage {
	var usages []Usage
	for _, r := range m.rows {
		r.usage.Layers = int64(len(r.layers))
		for digest, size := range r.layers {
			r.usage.Size = AddSize(r.usage.Size, size)
			if len(m.owners[digest]) == 1 {
				r.usage.Unique = AddSize(r.usage.Unique, size)
			} else {
				r.usage.Shared = AddSize(r.usage.Shared, size)
			}
		}
		for tag := range r.tags {
			r.usage.Tags = append(r.usage.Tags, tag)
		}
		sort.Strings(r.usage.Tags)
		usages = append(usages, r.usage)
	}
	Largest(usages)
	return usages
}

// Largest puts the largest first; equals by namespace and name.
func Largest(usages []Usage) {
	sort.Slice(usages, func(i, j int) bool {
		a, b := &usages[i], &usages[j]
		if a.Size != b.Size {
			return a.Size > b.Size
		}
		if a.Namespace != b.Namespace {
			return a.Namespace < b.Namespace
		}
		return a.Name < b.Name
	})
}
