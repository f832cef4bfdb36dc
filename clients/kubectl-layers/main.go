// kubectl-layers tells what the images of image streams are made of, and who shares it: `kubectl layers`. By the name
// kubectl_complete-layers it completes that command's line, which is how kubectl asks plugins.
package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // the ways to log in that kubectl has

	"strata/clients/kubectl-layers/cmd"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := cmd.NewCommand(genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr})
	if strings.HasPrefix(filepath.Base(os.Args[0]), "kubectl_complete-layers") {
		root.SetArgs(append([]string{"__complete"}, os.Args[1:]...))
	}
	cmd.Execute(ctx, root)
}
