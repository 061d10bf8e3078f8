package dnstest_test

import (
	"errors"
	"net"
	"testing"

	"github.com/seed-20e08ac4/asyncore/internal/dnstest"
)

func TestNobody(t *testing.T) {
	_, err := dnstest.Nobody().LookupHost(t.Context(), "nobody.test.")
	if d, ok := errors.AsType[*net.DNSError](err); !ok || !d.IsNotFound {
		t.Errorf("%v, want no such host", err)
	}
}
