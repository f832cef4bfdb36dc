// Package compare asks two servers for the layers of every stream, and tells in what they differ. It is how an operator
// finds out whether Strata answers as his server does.
package compare

import (
	"context"
	"net/http"

	"strata/clients/kubectl-layers/api"
	"strata/clients/kubectl-layers/read"
)

// Answer of a server.
type Answer struct {
	Code     int
	Body     []byte
	Warnings []string
}

// ask for a stream's layers. An error means that there was no answer at all.
func ask(ctx context.Context, c *read.Client, name Name) (Answer, error) {
	result := c.REST.Get().AbsPath(read.In(api.ImageGroup, name.Namespace, "imagestreams"), name.Stream, "layers").
		SetHeader("Accept", "application/json").Do(ctx)
	var answer Answer
	result.StatusCode(&answer.Code)
	body, err := result.Raw()
	if answer.Code == 0 {
		return answer, err
	}
	answer.Body = body
	for _, warning := range result.Warnings() {
		answer.Warnings = append(answer.Warnings, warning.Text)
	}
	return answer, nil
}

func (a Answer) ok() bool { return a.Code == http.StatusOK }

// Name of a stream.
type Name struct{ Namespace, Stream string }
