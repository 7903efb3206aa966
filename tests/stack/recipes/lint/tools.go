//go:build tools

package tools

import (
	_ "github.com/compose-spec/compose-go/v2/cmd"
	_ "github.com/zegl/kube-score/cmd/kube-score"
)
