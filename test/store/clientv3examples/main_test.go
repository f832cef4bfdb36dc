// Package clientv3_test is etcd's own, of examples of its client (tests/integration/clientv3/examples). CMakeLists.txt
// beside this file's folder lays their files over it; what they need is here, with a store that runs already in place
// of the cluster that etcd's main_test.go starts.
package clientv3_test

import (
	"os"
	"time"
)

const (
	dialTimeout    = 5 * time.Second
	requestTimeout = 10 * time.Second
)

func exampleEndpoints() []string { return []string{os.Getenv("STRATA_STORE")} }

func forUnitTestsRunInMockedContext(_ func(), example func()) { example() }
