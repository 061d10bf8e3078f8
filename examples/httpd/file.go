package main

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// smallFile is the most that is read together with opening, so that the loop
	// does not wait for the disk at all. More would be faster in the pieces that
	// a producer is asked for, whose memory is used again.
	smallFile = 16 << 10
	// maxList bounds the listing of a directory.
	maxList = 10_000
)

// find answers a GET or HEAD request. It waits for the disk, and so runs beside
// the loop: it shares nothing with that but r, which waits for it.
func find(root *os.Root, r *request) *answer {
	if strings.HasSuffix(r.path, "/index.html") {
		return redirect("./", r.query)
	}
	name := path.Clean("/" + r.path)[1:]
	f, info, err := open(root, name)
	if err != nil {
		return problem(errorStatus(err))
	}
	slash := strings.HasSuffix(r.path, "/")
	switch base := (&url.URL{Path: path.Base(r.path)}).String(); {
	case info.IsDir() && !slash:
		f.Close()
		return redirect(base+"/", r.query)
	case !info.IsDir() && slash:
		f.Close()
		return redirect("../"+base, r.query)
	case !info.IsDir():
		return give(f, info, r)
	}
	if index, info, err := open(root, path.Join(name, "index.html")); err == nil && info.Mode().IsRegular() {
		f.Close()
		return give(index, info, r)
	} else if err == nil {
		index.Close()
	}
	defer f.Close()
	return list(f, info, r)
}

// open opens a file or directory below root; nothing outside, whatever symbolic
// links there are. O_NONBLOCK is for a named pipe, which would wait for its writer.
func open(root *os.Root, name string) (*os.File, fs.FileInfo, error) {
	local, err := filepath.Localize(path.Clean("./" + name))
	if err != nil {
		return nil, nil, err
	}
	f, err := root.OpenFile(local, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		err = fs.ErrPermission
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// errorStatus does not tell what is outside of the root from what is not there.
func errorStatus(err error) int {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return http.StatusForbidden
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM):
		return http.StatusServiceUnavailable
	case errors.Is(err, syscall.EIO):
		return http.StatusInternalServerError
	}
	return http.StatusNotFound
}

// give answers with f or a part of it. f is closed, or the answer's.
func give(f *os.File, info fs.FileInfo, r *request) *answer {
	v := versionOf(info.ModTime(), info.Size(), time.Now())
	a := &answer{status: v.check(r)}
	var from int64
	var err error
	if a.status == 0 {
		a.status, from, a.length = v.partly(r, info.Size())
	}
	if a.status >= 400 {
		f.Close()
		refused := problem(a.status)
		if a.status == http.StatusRequestedRangeNotSatisfiable {
			refused.set("Content-Range", fmt.Sprintf("bytes */%d", info.Size()))
		}
		return refused
	}
	a.set("ETag", v.etag)
	a.set("Last-Modified", v.modified.UTC().Format(http.TimeFormat))
	if a.status == http.StatusNotModified {
		f.Close()
		return a
	}
	contentType := mime.TypeByExtension(path.Ext(info.Name()))
	if contentType == "" {
		contentType = "application/octet-stream"
	}
	a.set("Content-Type", contentType)
	a.set("X-Content-Type-Options", "nosniff")
	a.set("Accept-Ranges", "bytes")
	if a.status == http.StatusPartialContent {
		a.set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, from+a.length-1, info.Size()))
	}
	if r.method == "HEAD" {
		f.Close()
		return a
	}
	if a.length > smallFile {
		a.file = f
		_, err = f.Seek(from, io.SeekStart)
	} else {
		a.content = make([]byte, a.length)
		_, err = f.ReadAt(a.content, from) // EOF: the file has become shorter
		f.Close()
	}
	if err != nil {
		f.Close()
		return problem(http.StatusInternalServerError)
	}
	return a
}

// list answers with the names in a directory.
func list(dir *os.File, info fs.FileInfo, r *request) *answer {
	v := version{modified: info.ModTime()}
	if status := v.check(r); status == http.StatusNotModified {
		return &answer{status: status}
	}
	entries, err := dir.ReadDir(maxList)
	if err != nil && err != io.EOF {
		return problem(http.StatusInternalServerError)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	var page bytes.Buffer
	page.WriteString("<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n")
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() {
			name += "/"
		}
		fmt.Fprintf(&page, "<a href=\"%s\">%s</a>\n", html.EscapeString((&url.URL{Path: name}).String()), html.EscapeString(name))
	}
	if len(entries) == maxList {
		page.WriteString("and perhaps more\n")
	}
	page.WriteString("</pre>\n")
	a := &answer{status: http.StatusOK}
	a.set("Last-Modified", v.modified.UTC().Format(http.TimeFormat))
	a.text("text/html; charset=utf-8", page.String())
	return a
}
