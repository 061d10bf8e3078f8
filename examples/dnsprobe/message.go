package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// payload is the longest answer that a server may send by UDP: so much goes
// through any network in one piece (the DNS flag day of 2020).
const payload = 1232

// pack makes the query, with its payload in an OPT record (RFC 6891).
func pack(id uint16, q dnsmessage.Question) ([]byte, error) {
	var opt dnsmessage.ResourceHeader
	if err := opt.SetEDNS0(payload, dnsmessage.RCodeSuccess, false); err != nil {
		return nil, err
	}
	m := dnsmessage.Message{
		Header:      dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions:   []dnsmessage.Question{q},
		Additionals: []dnsmessage.Resource{{Header: opt, Body: &dnsmessage.OPTResource{}}},
	}
	return m.Pack()
}

var errNotOurs = errors.New("no answer to what was asked")

// answer is what a server says: the texts of its records, or that it is too long.
type answer struct {
	records   []string
	truncated bool
}

// unpack reads an answer to a query. errNotOurs is one to another.
func unpack(p []byte, id uint16, asked dnsmessage.Question) (a answer, err error) {
	var in dnsmessage.Parser
	h, err := in.Start(p)
	if err != nil || h.ID != id || !h.Response {
		return a, errNotOurs
	}
	q, err := in.Question()
	if err != nil || q.Type != asked.Type || q.Class != asked.Class ||
		!strings.EqualFold(q.Name.String(), asked.Name.String()) {
		return a, errNotOurs
	}
	if h.Truncated {
		return answer{truncated: true}, nil
	}
	if h.RCode != dnsmessage.RCodeSuccess {
		return a, fmt.Errorf("the server says %s", strings.TrimPrefix(h.RCode.String(), "RCode"))
	}
	if err := in.SkipAllQuestions(); err != nil {
		return a, err
	}
	for {
		r, err := in.Answer()
		if err == dnsmessage.ErrSectionDone {
			return a, nil
		}
		if err != nil {
			return a, err
		}
		a.records = append(a.records, record(r))
	}
}

// record is a resource record's text. What comes from the network is quoted.
func record(r dnsmessage.Resource) string {
	text := strings.TrimPrefix(r.Header.Type.String(), "Type")
	switch b := r.Body.(type) {
	case *dnsmessage.AResource:
		return text + " " + netip.AddrFrom4(b.A).String()
	case *dnsmessage.AAAAResource:
		return text + " " + netip.AddrFrom16(b.AAAA).String()
	case *dnsmessage.CNAMEResource:
		return fmt.Sprintf("%s %q", text, b.CNAME)
	case *dnsmessage.NSResource:
		return fmt.Sprintf("%s %q", text, b.NS)
	case *dnsmessage.PTRResource:
		return fmt.Sprintf("%s %q", text, b.PTR)
	case *dnsmessage.MXResource:
		return fmt.Sprintf("%s %d %q", text, b.Pref, b.MX)
	case *dnsmessage.SRVResource:
		return fmt.Sprintf("%s %d %d %d %q", text, b.Priority, b.Weight, b.Port, b.Target)
	case *dnsmessage.SOAResource:
		return fmt.Sprintf("%s %q %q %d", text, b.NS, b.MBox, b.Serial)
	case *dnsmessage.TXTResource:
		return fmt.Sprintf("%s %q", text, b.TXT)
	}
	return text
}
