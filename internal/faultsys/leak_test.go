package faultsys_test

import (
	"testing"

	"github.com/seed-20e08ac4/asyncore/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
