// Helm for Remint's tests: its own command, as it stands in its own library.
package main

import (
	"os"

	"helm.sh/helm/v4/pkg/cmd"
	"helm.sh/helm/v4/pkg/kube"
)

func main() {
	// The name that stands in managed fields is not to depend on where the program lies.
	kube.ManagedFieldsManager = "helm"
	helm, err := cmd.NewRootCmd(os.Stdout, os.Args[1:], cmd.SetupLogging)
	if err == nil {
		err = helm.Execute()
	}
	if err != nil {
		os.Exit(1)
	}
}
