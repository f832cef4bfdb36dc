package api

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Where the two groups are.
const (
	ImageGroup  = "/apis/image.openshift.io/v1"
	LayersGroup = "/apis/layers.strata.dev/v1alpha1"
)

// ImageLayers is layers.strata.dev/v1alpha1's.
type ImageLayers struct {
	metav1.ObjectMeta `json:"metadata"`
	MediaType         string `json:"mediaType"`
	Config            string `json:"config"`
	Layers            []struct {
		Name      string `json:"name"`
		Size      int64  `json:"size"`
		MediaType string `json:"mediaType"`
	} `json:"layers"`
	Manifests     []string `json:"manifests"`
	ManifestLists []string `json:"manifestLists"`
	Base          *struct {
		Layers int      `json:"layers"`
		Size   int64    `json:"size"`
		Images []string `json:"images"`
	} `json:"base"`
	Streams    []TaggedImage `json:"streams"`
	Unreadable string        `json:"unreadable"`
}

// TaggedImage is an image stream whose tags point at an image.
type TaggedImage struct {
	Namespace   string   `json:"namespace"`
	Name        string   `json:"name"`
	Tags        []string `json:"tags"`
	EarlierTags []string `json:"earlierTags"`
}

// BlobUsers is layers.strata.dev/v1alpha1's Blob.
type BlobUsers struct {
	metav1.ObjectMeta `json:"metadata"`
	Size              *int64 `json:"size"`
	MediaType         string `json:"mediaType"`
	Images            []struct {
		Name string `json:"name"`
		As   string `json:"as"`
	} `json:"images"`
	Streams []struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	} `json:"streams"`
}

// LayerUsage is layers.strata.dev/v1alpha1's, one a namespace.
type LayerUsage struct {
	metav1.ObjectMeta      `json:"metadata"`
	ImageStreams           int64 `json:"imageStreams"`
	Images                 int64 `json:"images"`
	Layers                 int64 `json:"layers"`
	Size                   int64 `json:"size"`
	UniqueSize             int64 `json:"uniqueSize"`
	SharedSize             int64 `json:"sharedSize"`
	MissingImages          int64 `json:"missingImages"`
	UnreadableImages       int64 `json:"unreadableImages"`
	UnreadableImageStreams int64 `json:"unreadableImageStreams"`
}

// List is a page of a list.
type List[T any] struct {
	metav1.ListMeta `json:"metadata"`
	Items           []T `json:"items"`
}
