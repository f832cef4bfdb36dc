package model

// StandsOn tells whether all of the base's layers are the beginning of the image's.
func StandsOn(image, base *Image) bool {
	if len(base.Layers) == 0 || len(base.Layers) > len(image.Layers) {
		return false
	}
	for i, layer := range base.Layers {
		if image.Layers[i].Digest != layer.Digest {
			return false
		}
	}
	return true
}

// BaseOf is the image of a stream with the most layers that another one stands on, and has more than; nil if there is
// none. Of several the first by digest.
func (s *Stream) BaseOf(image *Image) *Image {
	var base *Image
	for _, candidate := range s.Sorted() {
		if len(candidate.Layers) < len(image.Layers) && StandsOn(image, candidate) &&
			(base == nil || len(candidate.Layers) > len(base.Layers)) {
			base = candidate
		}
	}
	return base
}

// Generation of a tag's image: 0 is what the tag points at now.
type Generation struct {
	Behind int
	Image  *Image
}

// GenerationOf is the newest of a tag's images, or of their children, that an image stands on, with the most layers
// first; false if it stands on none.
func (s *Stream) GenerationOf(image *Image, tag Tag) (Generation, bool) {
	var found Generation
	for behind, digest := range tag.Images {
		for _, candidate := range s.Leaves(s.image(digest)) {
			if StandsOn(image, candidate) && (found.Image == nil || len(candidate.Layers) > len(found.Image.Layers)) {
				found = Generation{behind, candidate}
			}
		}
	}
	return found, found.Image != nil
}
