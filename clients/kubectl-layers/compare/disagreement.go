package compare

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"

	"strata/clients/kubectl-layers/api"
	"strata/clients/kubectl-layers/read"
)

// So many images are asked about one blob.
const mostImagesAsked = 20

// settle asks the images of a stream about blobs that two servers describe otherwise: where images disagree, and both
// servers have the word of one, the difference is expected.
func settle(ctx context.Context, c *read.Client, name Name, a Answer, differences []Difference) {
	var layers api.ImageStreamLayers
	if json.Unmarshal(a.Body, &layers) != nil {
		return
	}
	for i := range differences {
		d := &differences[i]
		if d.blob == "" {
			continue
		}
		said := map[string]bool{}
		asked := 0
		for digest, image := range layers.Images {
			if asked == mostImagesAsked || !slices.Contains(image.Layers, d.blob) {
				continue
			}
			asked++
			found, err := c.StreamImage(ctx, name.Namespace, name.Stream, digest)
			if err != nil {
				continue
			}
			for _, layer := range found.DockerImageLayers {
				if layer.Name == d.blob {
					said[strconv.FormatInt(layer.Size, 10)], said[strconv.Quote(layer.MediaType)] = true, true
				}
			}
		}
		if d.A != d.B && said[d.A] && said[d.B] {
			d.Reason = Disagreed
		}
	}
}
