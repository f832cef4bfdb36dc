// Command etcd is etcd's own server, built from its module so that the tests run against the version that they name.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
