// Kubernetes for Remint's tests: the API server's, the controller manager's and etcd's own code, in one program.
//
//	serve FOLDER PORT       everything, on 127.0.0.1, with its data in FOLDER; FOLDER/ready appears once it answers
//	apiserver ARGUMENTS…    kube-apiserver
//	controllers ARGUMENTS…  kube-controller-manager
//
// There is no scheduler and no kubelet: what stands for them is the tests' own.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("say serve, apiserver or controllers"))
	}
	verb, arguments := os.Args[1], os.Args[2:]
	switch verb {
	case "serve":
		if len(arguments) != 2 {
			fail(fmt.Errorf("serve FOLDER PORT"))
		}
		fail(serve(arguments[0], arguments[1]))
	case "apiserver":
		run(apiserver.NewAPIServerCommand(), arguments)
	case "controllers":
		run(controllers.NewControllerManagerCommand(), arguments)
	default:
		fail(fmt.Errorf("there is no %q", verb))
	}
}

func run(command *cobra.Command, arguments []string) {
	command.SetArgs(arguments)
	os.Exit(cli.Run(command))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
