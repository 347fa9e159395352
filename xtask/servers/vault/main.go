// HashiCorp Vault 1.14, the last release under the MPL, as a server for Remint's tests: its own command, from its own module.
//
// HashiCorp built its releases with states of vault/sdk that were never published as modules. The published one that fits
// panics at a path that can be created and does not say what is there already, which its own state let pass. Nothing else is
// different from the release.
package main

import (
	"context"
	"os"
	"reflect"
	"unsafe"

	"github.com/hashicorp/vault/builtin/logical/transit"
	"github.com/hashicorp/vault/command"
	"github.com/hashicorp/vault/helper/builtinplugins"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/vault"
)

// The paths that answer "enterprise-only feature", and do nothing else.
//
//go:linkname entPaths github.com/hashicorp/vault/vault.entPaths
var entPaths func(*vault.SystemBackend) []*framework.Path

func main() {
	entPaths = func(*vault.SystemBackend) []*framework.Path { return nil }
	replace("transit", transit.Factory)
	os.Exit(command.Run(os.Args[1:]))
}

// Has an engine say "nothing" where it does not say what is there already.
func replace(name string, factory logical.Factory) {
	held := reflect.ValueOf(builtinplugins.Registry).Elem().FieldByName("logicalBackends")
	held = reflect.NewAt(held.Type(), unsafe.Pointer(held.UnsafeAddr())).Elem()
	key := reflect.ValueOf(name)
	engine := reflect.New(held.Type().Elem()).Elem()
	engine.Set(held.MapIndex(key))
	engine.FieldByName("Factory").Set(reflect.ValueOf(logical.Factory(
		func(ctx context.Context, config *logical.BackendConfig) (logical.Backend, error) {
			made, err := factory(ctx, config)
			if err != nil {
				return nil, err
			}
			inner := reflect.ValueOf(made).Elem().FieldByName("Backend").Interface().(*framework.Backend)
			for _, path := range inner.Paths {
				_, creates := path.Operations[logical.CreateOperation]
				_, calls := path.Callbacks[logical.CreateOperation]
				if path.ExistenceCheck == nil && (creates || calls) {
					path.ExistenceCheck = func(context.Context, *logical.Request, *framework.FieldData) (bool, error) {
						return false, nil
					}
				}
			}
			return made, nil
		})))
	held.SetMapIndex(key, engine)
}
