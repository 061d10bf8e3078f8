package socket

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
)

// goldenCase is what a function of CPython 3.11's socket module answered on
// Debian 12.
type goldenCase struct {
	Fn   string
	Arg  json.RawMessage // a string; of the getserv functions the list of arguments
	OK   json.RawMessage // the result; nil: an exception
	Err  string          // the exception's class
	Args []any           // its arguments, the text last
}

// golden returns the measured cases of testdata/golden.jsonl.
func golden(t *testing.T) []goldenCase {
	t.Helper()
	file, err := os.ReadFile("testdata/golden.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var cases []goldenCase
	dec := json.NewDecoder(bytes.NewReader(file))
	for {
		var c goldenCase
		switch err := dec.Decode(&c); err {
		case nil:
			cases = append(cases, c)
		case io.EOF:
			return cases
		default:
			t.Fatal(err)
		}
	}
}

func TestGoldenInet(t *testing.T) {
	funcs := map[string]func(string) (string, error){
		"inet_aton": func(s string) (string, error) {
			b, err := InetAton(s)
			return hex.EncodeToString(b[:]), err
		},
		"inet_ntoa":  func(s string) (string, error) { return InetNtoa(unhex(t, s)) },
		"inet_pton4": func(s string) (string, error) { return ptonHex(afInet, s) },
		"inet_pton6": func(s string) (string, error) { return ptonHex(afInet6, s) },
		"inet_ntop4": func(s string) (string, error) { return InetNtop(afInet, unhex(t, s)) },
		"inet_ntop6": func(s string) (string, error) { return InetNtop(afInet6, unhex(t, s)) },
	}
	ran := 0
	for _, c := range golden(t) {
		if !strings.HasPrefix(c.Fn, "inet_") {
			continue
		}
		call := funcs[c.Fn]
		if call == nil {
			t.Errorf("no test of %s", c.Fn)
			continue
		}
		ran++
		var arg, want string
		if err := json.Unmarshal(c.Arg, &arg); err != nil {
			t.Fatal(err)
		}
		if c.Fn == "inet_aton" && strings.ContainsAny(arg, " \t\n\v\f\r") {
			// The one departure: what follows white space counts here.
			c.OK, c.Args = nil, []any{"illegal IP address string passed to inet_aton"}
		}
		got, err := call(arg)
		if c.OK == nil {
			if text := c.Args[len(c.Args)-1].(string); err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%s(%q) = %q, %v; want the error %q", c.Fn, arg, got, err, text)
			}
			continue
		}
		if err := json.Unmarshal(c.OK, &want); err != nil {
			t.Fatal(err)
		}
		if got != want || err != nil {
			t.Errorf("%s(%q) = %q, %v; want %q", c.Fn, arg, got, err, want)
		}
	}
	if ran < 90 {
		t.Errorf("ran %d cases, want all 95 or so", ran)
	}
}

func ptonHex(f Family, s string) (string, error) {
	b, err := InetPton(f, s)
	return hex.EncodeToString(b), err
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
