// k6 as it is, built from its module: which version, go.mod says.
package main

import "go.k6.io/k6/cmd"

func main() {
	cmd.Execute()
}
