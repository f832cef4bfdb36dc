// Package cmd has the commands of kubectl-layers, one file each.
package cmd

import (
	"context"
	"flag"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/klog/v2"
	"k8s.io/kubectl/pkg/cmd/options"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
	"k8s.io/kubectl/pkg/util/templates"

	"strata/clients/kubectl-layers/model"
	"strata/clients/kubectl-layers/read"
	"strata/clients/kubectl-layers/view"
)

// Version is set by the linker.
var Version = "dev"

// What all commands share: the connection's flags and the streams.
type common struct {
	config *genericclioptions.ConfigFlags
	screen view.Screen
	limits read.Limits
	noted  map[string]bool
	warned *read.Warnings
}

// NewCommand is the whole program.
func NewCommand(streams genericiooptions.IOStreams) *cobra.Command {
	c := &common{config: genericclioptions.NewConfigFlags(true), screen: view.NewScreen(streams),
		limits: read.Limits{Concurrency: 16, QPS: 200}, noted: map[string]bool{},
		warned: &read.Warnings{Out: streams.ErrOut}}
	root := newLayers(c)
	root.Version = Version
	root.SilenceUsage, root.SilenceErrors = true, true
	// kubectl completes plugins by kubectl_complete-layers.
	root.CompletionOptions.DisableDefaultCmd = true
	root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl layers"}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	c.config.AddFlags(root.PersistentFlags())
	root.PersistentFlags().IntVar(&c.limits.Concurrency, "concurrency", c.limits.Concurrency,
		"Requests at a time, where many are made.")
	root.PersistentFlags().Float32Var(&c.limits.QPS, "qps", c.limits.QPS, "Requests a second to one server; 0: no limit.")
	logging := flag.NewFlagSet("", flag.ContinueOnError)
	klog.InitFlags(logging)
	root.PersistentFlags().AddGoFlag(logging.Lookup("v"))
	root.PersistentPostRun = func(*cobra.Command, []string) {
		if more := c.warned.More(); more > 0 {
			c.note(fmt.Sprintf("the server warned of %d more", more))
		}
	}
	root.AddCommand(newTree(c), newDiff(c), newWho(c), newTop(c), newPods(c), newCompare(c))
	c.completeFlags(root)
	templates.ActsAsRootCommand(root, []string{"options"})
	root.AddCommand(options.NewCmdOptions(streams.Out))
	return root
}

// Commands with this annotation end with 1 where there is a difference, as `kubectl diff` does, and with more for errors.
const oneMeansDifferent = "one-means-different"

// Execute runs the program, and exits as kubectl does if that fails.
func Execute(ctx context.Context, root *cobra.Command) {
	called, err := root.ExecuteContextC(ctx)
	if _, differ := called.Annotations[oneMeansDifferent]; differ && err != cmdutil.ErrExit {
		cmdutil.CheckDiffErr(err)
	}
	cmdutil.CheckErr(err)
}

func (c *common) client() (*read.Client, error) {
	config, err := c.config.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	config.WarningHandler = c.warned
	return read.ClientFor(config, c.limits, c.progress())
}

func (c *common) progress() *read.Progress {
	return &read.Progress{Out: c.screen.ErrOut, Terminal: view.IsTerminal(c.screen.ErrOut)}
}

// namespace that the flags or the kubeconfig's context name.
func (c *common) namespace() (string, error) {
	namespace, _, err := c.config.ToRawKubeConfigLoader().Namespace()
	return namespace, err
}

func (c *common) reference(text string) (model.Reference, error) {
	namespace, err := c.namespace()
	if err != nil {
		return model.Reference{}, err
	}
	return model.ParseReference(text, namespace)
}

// note tells once on stderr what an answer lacks.
func (c *common) note(text string) {
	if !c.noted[text] {
		c.noted[text] = true
		c.screen.Note("note: " + text)
	}
}

// exactArgs says what is missing, as kubectl says it.
func exactArgs(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return cmdutil.UsageErrorf(cmd, "%s", what)
		}
		return nil
	}
}
