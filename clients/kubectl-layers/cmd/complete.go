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
	ref, err := c.reference(name + strings.Repeat("x", btoi(name == "" || strings.HasSuffix(name, "/"))))
	if err != nil {
		return nil, directive
	}
	prefix := ""
	if namespace, _, found := strings.Cut(name, "/"); found {
		prefix = namespace + "/"
	}
	var offers []string
	if tagWanted {
		for _, tag := range client.Tags(ctx, ref.Namespace, ref.Stream) {
			offers = append(offers, name+":"+tag)
		}
		return matching(offers, typed), cobra.ShellCompDirectiveNoFileComp
	}
	_ = client.Names(ctx, read.Scope{Namespace: ref.Namespace}, func(_, stream string) { offers = append(offers, prefix+stream) })
	return matching(offers, typed), directive
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
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
