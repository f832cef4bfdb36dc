package read

import (
	"context"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"strata/clients/kubectl-layers/api"
)

// groupState remembers whether layers.strata.dev can be asked.
type groupState struct {
	once sync.Once
	err  error
}

// Unavailable says in one line why layers.strata.dev can't be asked.
type Unavailable struct{ Reason string }

func (u *Unavailable) Error() string { return u.Reason }

// Group is nil where layers.strata.dev is served, *Unavailable where it isn't, or the error of a server that doesn't
// answer at all.
func (c *Client) Group(ctx context.Context) error {
	c.group.once.Do(func() {
		c.group.err = whyNot(c.REST.Get().AbsPath(api.LayersGroup).Do(ctx).Error())
	})
	return c.group.err
}

func whyNot(err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err):
		return &Unavailable{"layers.strata.dev isn't served here"}
	case apierrors.IsForbidden(err):
		return &Unavailable{fmt.Sprintf("no right to ask layers.strata.dev: %v", err)}
	case apierrors.IsServiceUnavailable(err):
		return &Unavailable{fmt.Sprintf("layers.strata.dev doesn't answer: %v", err)}
	}
	return err
}

// Missing tells whether an error is only that layers.strata.dev can't tell something to this user, for which there may
// be another way; then it is the reason.
func Missing(err error) (string, bool) {
	if unavailable, ok := err.(*Unavailable); ok {
		return unavailable.Reason, true
	}
	if apierrors.IsForbidden(err) {
		return fmt.Sprintf("no right to ask layers.strata.dev: %v", err), true
	}
	if apierrors.IsServiceUnavailable(err) {
		return fmt.Sprintf("layers.strata.dev doesn't answer: %v", err), true
	}
	return "", false
}
