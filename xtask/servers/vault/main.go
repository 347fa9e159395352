// HashiCorp Vault 1.14, the last release under the MPL, as a server for Remint's tests: its own command, from its own module.
package main

import (
	"os"

	"github.com/hashicorp/vault/command"
)

func main() {
	os.Exit(command.Run(os.Args[1:]))
}
