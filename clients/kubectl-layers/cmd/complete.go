package cmd

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"strata/clients/kubectl-layers/read"
)

// Whoever presses the tabulator doesn't wait longer.
const completionPatience = 5 * time.Second

// completeReference offers streams, and behind a colon their tags.
func (c *common) completeReference(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	const directive = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	ctx, cancel := context.WithTimeout(context.Background(), completionPatience)
	defer cancel()
	client, err := c.client()
	if err != nil {
		return nil, directive
	}
	name, _, tagWanted := strings.Cut(typed, ":")
	prefix, stream := "", name
	namespace, err := c.namespace()
	if before, after, found := strings.Cut(name, "/"); found {
		prefix, namespace, stream = before+"/", before, after
	} else if err != nil {
		return nil, directive
	}
	var offers []string
	if tagWanted {
		for _, tag := range client.Tags(ctx, namespace, stream) {
			offers = append(offers, name+":"+tag)
		}
		return matching(offers, typed), cobra.ShellCompDirectiveNoFileComp
	}
	_ = client.Names(ctx, read.Scope{Namespace: namespace}, func(_, stream string) { offers = append(offers, prefix+stream) })
	return matching(offers, typed), directive
}

func matching(offers []string, typed string) []string {
	var kept []string
	for _, offer := range offers {
		if strings.HasPrefix(offer, typed) {
			kept = append(kept, offer)
		}
	}
	return kept
}

// completeFlags offers namespaces and the kubeconfig's names.
func (c *common) completeFlags(root *cobra.Command) {
	offer := func(flag string, names func(ctx context.Context) []string) {
		_ = root.RegisterFlagCompletionFunc(flag,
			func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
				ctx, cancel := context.WithTimeout(context.Background(), completionPatience)
				defer cancel()
				return matching(names(ctx), typed), cobra.ShellCompDirectiveNoFileComp
			})
	}
	offer("namespace", func(ctx context.Context) []string {
		client, err := c.client()
		if err != nil {
			return nil
		}
		return client.Namespaces(ctx)
	})
	offer("context", func(context.Context) []string { return c.contexts() })
}

func (c *common) contexts() []string {
	raw, err := c.config.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return nil
	}
	names := map[string]bool{}
	for name := range raw.Contexts {
		names[name] = true
	}
	return sorted(names)
}
