// Package api has what this program reads of servers' answers: fields that it doesn't use aren't there, so that it reads
// answers of any release.
package api

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ImageStream is image.openshift.io/v1's.
type ImageStream struct {
	metav1.ObjectMeta `json:"metadata"`
	Status            struct {
		Tags []TagHistory `json:"tags"`
	} `json:"status"`
}

// TagHistory has what a tag has pointed at, newest first.
type TagHistory struct {
	Tag   string `json:"tag"`
	Items []struct {
		Created              metav1.Time `json:"created"`
		DockerImageReference string      `json:"dockerImageReference"`
		Image                string      `json:"image"`
	} `json:"items"`
}

// ImageStreamLayers is image.openshift.io/v1's, which layers.strata.dev serves as an object of its own.
type ImageStreamLayers struct {
	metav1.ObjectMeta `json:"metadata"`
	Blobs             map[string]Blob          `json:"blobs"`
	Images            map[string]ImageContents `json:"images"`
}

// Blob is a layer, a config or a manifest; only a layer's size is known.
type Blob struct {
	Size      *int64 `json:"size"`
	MediaType string `json:"mediaType"`
}

// ImageContents names the blobs of an image.
type ImageContents struct {
	Config       string   `json:"config"`
	Layers       []string `json:"layers"`
	Manifests    []string `json:"manifests"`
	ImageMissing bool     `json:"imageMissing"`
}

// ImageStreamImage is image.openshift.io/v1's: what the layers don't tell of an image.
type ImageStreamImage struct {
	Image Image `json:"image"`
}

// Image is image.openshift.io/v1's.
type Image struct {
	metav1.ObjectMeta    `json:"metadata"`
	DockerImageManifests []struct {
		Digest       string `json:"digest"`
		Architecture string `json:"architecture"`
		OS           string `json:"os"`
		Variant      string `json:"variant"`
	} `json:"dockerImageManifests"`
	DockerImageLayers []struct {
		Name      string `json:"name"`
		Size      int64  `json:"size"`
		MediaType string `json:"mediaType"`
	} `json:"dockerImageLayers"`
	DockerImageMetadata struct {
		Architecture string `json:"Architecture"`
		OS           string `json:"Os"`
	} `json:"dockerImageMetadata"`
}
