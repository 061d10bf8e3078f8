package main

import (
	"fmt"
	"strconv"
	"strings"
)

// extendedPort finds the port in the answer to EPSV, as in
// "Entering Extended Passive Mode (|||6446|)" (RFC 2428).
func extendedPort(text string) (uint16, error) {
	_, rest, ok := strings.Cut(text, "(")
	if ok && len(rest) > 3 {
		bar := rest[:1]
		if f := strings.Split(rest, bar); len(f) == 5 && f[0]+f[1]+f[2] == "" && strings.HasPrefix(f[4], ")") {
			if port, err := strconv.ParseUint(f[3], 10, 16); err == nil && port > 0 {
				return uint16(port), nil
			}
		}
	}
	return 0, fmt.Errorf("no port in %q", text)
}

// passivePort finds the port in the answer to PASV, as in
// "Entering Passive Mode (192,0,2,1,25,46)". The address in front of it may be one
// that nobody should connect to, or the server's behind a translation.
func passivePort(text string) (uint16, error) {
	at := strings.IndexAny(text, "0123456789")
	if at >= 0 {
		text := text[at:]
		end := strings.IndexFunc(text, func(r rune) bool { return r != ',' && (r < '0' || r > '9') })
		if end >= 0 {
			text = text[:end]
		}
		var n [6]byte
		f := strings.Split(text, ",")
		for i := range f {
			v, err := strconv.ParseUint(f[i], 10, 8)
			if len(f) != len(n) || err != nil {
				return 0, fmt.Errorf("no port in %q", text)
			}
			n[i] = byte(v)
		}
		if port := uint16(n[4])<<8 | uint16(n[5]); port > 0 {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no port in %q", text)
}
