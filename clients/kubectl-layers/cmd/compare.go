package cmd

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
	"k8s.io/kubectl/pkg/util/templates"

	"strata/clients/kubectl-layers/compare"
	"strata/clients/kubectl-layers/read"
	"strata/clients/kubectl-layers/view"
)

type compareCommand struct {
	*common
	print  *view.Flags
	second secondServer
	all    bool

	selector, fields string
	ignored          []string
	retries          int
	expected         bool
}

func newCompare(c *common) *cobra.Command {
	k := &compareCommand{common: c, print: view.NewFlags()}
	cmd := &cobra.Command{
		Use:   "compare --with-context=CONTEXT|--with-kubeconfig=FILE|--with-server=URL",
		Short: "Whether two servers answer the same for the layers of every stream",
		Long: templates.LongDesc(`
			Whether two servers answer the same for the layers of every stream. The first is the one that all commands ask;
			the second is named by flags. Answers are compared byte by byte; what differs is shown with both sides.
			Differences that Strata makes on purpose (docs/compatibility.md) are counted apart: the first server should be
			the one that Strata is to stand in for.

			A stream that differs is read again: only answers between two same ones of the first server count.

			Exit status: 0 where all streams were compared and none differs unexpectedly, 1 otherwise, more where it
			couldn't be compared at all.`),
		Example: templates.Examples(`
			# The cluster against Strata's own Service, with the same token
			kubectl layers compare -A --with-server=https://strata.strata.svc --with-certificate-authority=ca.crt

			# Two clusters of which one was loaded with the other's records
			kubectl layers compare -A --context=old --with-context=new --ignore-metadata=resourceVersion`),
		Args:        exactArgs(0, "compare takes no argument"),
		Annotations: map[string]string{oneMeansDifferent: ""},
		RunE:        func(cmd *cobra.Command, _ []string) error { return k.run(cmd.Context(), cmd) },
	}
	k.print.Unsortable = true
	k.print.AddTo(cmd)
	k.second.addTo(cmd, c)
	cmd.Flags().BoolVarP(&k.all, "all-namespaces", "A", false, "Streams of all namespaces.")
	cmd.Flags().StringVarP(&k.selector, "selector", "l", "", "Streams with these labels alone.")
	cmd.Flags().StringVar(&k.fields, "field-selector", "", "Streams with these fields alone, such as metadata.name=app.")
	cmd.Flags().StringSliceVar(&k.ignored, "ignore-metadata", nil,
		"Fields of metadata that may differ, such as resourceVersion where the servers have different stores.")
	cmd.Flags().IntVar(&k.retries, "retries", 3, "How often a stream that differs is read again.")
	cmd.Flags().BoolVar(&k.expected, "show-expected", false, "Print differences that are on purpose, too.")
	return cmd
}

func (k *compareCommand) run(ctx context.Context, cmd *cobra.Command) error {
	if err := k.print.Validate(); err != nil {
		return err
	}
	first, err := k.config.ToRESTConfig()
	if err != nil {
		return err
	}
	second, err := k.second.config(first)
	if err != nil {
		return err
	}
	if second == nil {
		return cmdutil.UsageErrorf(cmd, "a second server is needed: --with-context, --with-kubeconfig or --with-server")
	}
	var clients []*read.Client
	for _, config := range []*rest.Config{first, second} {
		config.WarningHandler = rest.NoWarnings{} // They are looked at, not shown.
		client, err := read.ClientFor(config, k.limits, k.progress())
		if err != nil {
			return err
		}
		clients = append(clients, client)
	}
	scope := read.Scope{Labels: k.selector, Fields: k.fields}
	if !k.all {
		if scope.Namespace, err = k.namespace(); err != nil {
			return err
		}
	}
	report, err := compare.Run(ctx, clients[0], clients[1],
		compare.Options{Scope: scope, Ignored: k.ignored, Retries: k.retries, Pause: 500 * time.Millisecond}, k.note)
	if err != nil {
		return err
	}
	if err := k.show(report); err != nil {
		return err
	}
	if report.Count(func(f *compare.Finding) bool { return !f.Expected() }) != 0 {
		return cmdutil.ErrExit
	}
	return nil
}

// secondServer's flags.
type secondServer struct {
	kubeconfig, context, server, authority string
	insecure                               bool
}

func (s *secondServer) addTo(cmd *cobra.Command, c *common) {
	cmd.Flags().StringVar(&s.kubeconfig, "with-kubeconfig", "", "Kubeconfig of the second server.")
	cmd.Flags().StringVar(&s.context, "with-context", "", "Its context in that kubeconfig, or else in the first server's.")
	cmd.Flags().StringVar(&s.server, "with-server", "",
		"Its URL; without the two flags above it is given the first server's credentials.")
	cmd.Flags().StringVar(&s.authority, "with-certificate-authority", "", "File of the CA that signed its certificate.")
	cmd.Flags().BoolVar(&s.insecure, "with-insecure-skip-tls-verify", false, "Don't verify its certificate.")
	_ = cmd.RegisterFlagCompletionFunc("with-context",
		func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			return matching(c.contexts(), typed), cobra.ShellCompDirectiveNoFileComp
		})
}

// config of the second server; nil if no flag names one.
func (s *secondServer) config(first *rest.Config) (*rest.Config, error) {
	config := rest.CopyConfig(first)
	switch {
	case s.kubeconfig != "" || s.context != "":
		flags := genericclioptions.NewConfigFlags(false)
		flags.KubeConfig, flags.Context = &s.kubeconfig, &s.context
		var err error
		if config, err = flags.ToRESTConfig(); err != nil {
			return nil, err
		}
	case s.server == "":
		return nil, nil
	}
	if s.server != "" {
		config.Host = s.server
		config.TLSClientConfig.ServerName = ""
	}
	if s.authority != "" {
		config.TLSClientConfig.CAFile, config.TLSClientConfig.CAData = s.authority, nil
	}
	if s.insecure {
		config.TLSClientConfig.Insecure, config.TLSClientConfig.CAFile, config.TLSClientConfig.CAData = true, "", nil
	}
	config.Host = strings.TrimSuffix(config.Host, "/")
	return config, nil
}
