package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// version is what a client may compare with the one it has (RFC 9110, section 8.8).
type version struct {
	etag     string // "" for a directory
	modified time.Time
}

// versionOf makes a tag of time and size. Two changes within one tick of the
// file system's clock have the same time, so the tag of a file that was changed
// just now is a weak one: its ranges must not be put together.
func versionOf(modified time.Time, size int64, now time.Time) version {
	tag := fmt.Sprintf(`"%x-%x"`, modified.UnixNano(), size)
	if now.Sub(modified) < time.Second {
		tag = "W/" + tag
	}
	return version{tag, modified}
}

// check evaluates the preconditions of r in the order of RFC 9110, section
// 13.2.2: 0, 304 or 412.
func (v *version) check(r *request) (status int) {
	if tags := r.list("If-Match"); len(tags) > 0 {
		if !v.among(tags, true) {
			return http.StatusPreconditionFailed
		}
	} else if t, err := http.ParseTime(r.get("If-Unmodified-Since")); err == nil && v.after(t) {
		return http.StatusPreconditionFailed
	}
	if tags := r.list("If-None-Match"); len(tags) > 0 {
		if v.among(tags, false) {
			return http.StatusNotModified
		}
	} else if t, err := http.ParseTime(r.get("If-Modified-Since")); err == nil && !v.after(t) {
		return http.StatusNotModified
	}
	return 0
}

// after compares with t, which has whole seconds.
func (v *version) after(t time.Time) bool { return v.modified.Truncate(time.Second).After(t) }

// among finds v's tag in a list, of which no weak one counts where strong is. A
// tag with a comma in it is none of ours.
func (v *version) among(tags []string, strong bool) bool {
	for _, tag := range tags {
		if tag == "*" || v.same(tag, strong) {
			return true
		}
	}
	return false
}

func (v *version) same(tag string, strong bool) bool {
	if !strong {
		tag = strings.TrimPrefix(tag, "W/")
		return tag != "" && tag == strings.TrimPrefix(v.etag, "W/")
	}
	return tag != "" && tag == v.etag && tag[0] == '"'
}

// partly decides what r gets of a file of so many bytes: all of it (200), a part
// (206), or nothing (416). Several ranges are all of it: a server may ignore
// them, hardly a client asks, and they have been a way to ask for a file a
// thousand times at once.
func (v *version) partly(r *request, size int64) (status int, from, n int64) {
	set, ok := strings.CutPrefix(r.get("Range"), "bytes=")
	if !ok || !v.ifRange(r) {
		return http.StatusOK, 0, size
	}
	set = strings.Trim(set, " \t")
	if strings.Contains(set, ",") {
		return http.StatusOK, 0, size
	}
	first, last, ok := strings.Cut(set, "-")
	if !ok || first != "" && !isDigits(first) || last != "" && !isDigits(last) || first+last == "" {
		return http.StatusRequestedRangeNotSatisfiable, 0, 0
	}
	a, b := number(first), number(last)
	switch {
	case size == 0:
		return http.StatusOK, 0, 0
	case first == "": // the last b bytes
		b = min(b, size)
		a, b = size-b, size-1
	case last == "":
		b = size - 1
	case b < a:
		return http.StatusRequestedRangeNotSatisfiable, 0, 0
	}
	if a >= size {
		return http.StatusRequestedRangeNotSatisfiable, 0, 0
	}
	return http.StatusPartialContent, a, min(b, size-1) - a + 1
}

// number is that of digits; of too many, the largest.
func number(digits string) int64 {
	n, _ := strconv.ParseInt(digits, 10, 64)
	return n
}

// ifRange tells whether the range is one of the file that the client has.
func (v *version) ifRange(r *request) bool {
	value := r.get("If-Range")
	if value == "" {
		return true
	}
	t, err := http.ParseTime(value)
	return v.same(value, true) || err == nil && t.Unix() == v.modified.Unix()
}
