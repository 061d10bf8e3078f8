package transcript

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// maxText is the most that one step may send or expect.
const maxText = 16 << 20

var (
	crlf     = []byte("\r\n")
	allModes = []string{"written", "whole", "1", "2", "3", "4", "5", "6", "7", "8", "9"}
	stepLine = regexp.MustCompile(`^([a-z0-9]*)(>eof|>close|<eof|<reset|<closed|>>|>|<<|<~|<)(?: (.*))?$`)
)

// A script is one parsed file.
type script struct {
	file  string
	modes []string
	steps []*step
}

// A step is one line of a script.
type step struct {
	line   int
	source string
	conn   string
	op     string
	text   []byte         // of > >> < <<, with its CRLF
	re     *regexp.Regexp // of <~
}

func (st *step) isSend() bool { return st.op == ">" || st.op == ">>" }

// parse reads a script. Its error has the place in the file.
func parse(file, text string) (*script, error) {
	s := &script{file: file, modes: allModes}
	sent := map[string]string{} // the >eof or >close of each connection
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if line == "" || line[0] == '#' {
			continue
		}
		if err := s.parseLine(n, line, sent); err != nil {
			return nil, fmt.Errorf("%s:%d: %s: %w", file, n, line, err)
		}
	}
	if len(s.steps) == 0 {
		return nil, fmt.Errorf("%s: no steps", file)
	}
	return s, nil
}

func (s *script) parseLine(n int, line string, sent map[string]string) error {
	if line != strings.TrimRightFunc(line, unicode.IsSpace) {
		return errors.New(`ends in a blank, write \x20`)
	}
	if modes := strings.Fields(line); modes[0] == "mode" {
		s.modes = modes[1:]
		for _, m := range s.modes {
			if !slices.Contains(allModes, m) {
				return fmt.Errorf("no such mode: %s", m)
			}
		}
		if len(s.modes) == 0 || len(s.steps) > 0 {
			return errors.New("mode needs names, and stands before the first step")
		}
		return nil
	}
	m := stepLine.FindStringSubmatch(line)
	if m == nil {
		return errors.New("not a step")
	}
	st := &step{line: n, source: line, conn: m[1], op: m[2]}
	var err error
	switch st.op {
	case ">", "<", ">>", "<<":
		st.text, err = unescape(m[3])
		if len(st.op) == 1 {
			st.text = append(st.text, crlf...)
		}
	case "<~":
		st.re, err = regexp.Compile(`\A(?:` + m[3] + `)\z`)
	default:
		if m[3] != "" {
			err = fmt.Errorf("%s takes no text", st.op)
		}
	}
	if err != nil {
		return err
	}
	if before := sent[st.conn]; before == ">close" || before == ">eof" && st.op[0] == '>' && st.op != ">close" {
		return fmt.Errorf("comes after %s%s", st.conn, before)
	}
	if st.op == ">eof" || st.op == ">close" {
		sent[st.conn] = st.op
	}
	s.steps = append(s.steps, st)
	return nil
}

// unescape returns the bytes that text stands for.
func unescape(text string) ([]byte, error) {
	var p []byte
	for text != "" {
		plain, rest, found := strings.Cut(text, `\`)
		p = append(p, plain...)
		if !found {
			break
		}
		if rest == "" {
			return nil, errors.New(`ends in a single \`)
		}
		text = rest[1:]
		if i := strings.IndexByte(`rnt0\`, rest[0]); i >= 0 {
			p = append(p, "\r\n\t\x00\\"[i])
			continue
		}
		switch rest[0] {
		case 'x':
			v, err := strconv.ParseUint(text[:min(2, len(text))], 16, 8)
			if err != nil || len(text) < 2 {
				return nil, errors.New(`\x needs two hex digits`)
			}
			p, text = append(p, byte(v)), text[2:]
		case '{':
			body, after, _ := strings.Cut(text, "}")
			star := strings.LastIndexByte(body, '*')
			if star < 0 || len(body) == len(text) {
				return nil, errors.New(`not \{text*n}`)
			}
			piece, err := unescape(body[:star])
			if err != nil {
				return nil, err
			}
			count, err := strconv.ParseUint(body[star+1:], 10, 32)
			if err != nil || count*uint64(len(piece)) > maxText {
				return nil, fmt.Errorf(`not a number, or more than %d bytes: \{%s}`, maxText, body)
			}
			p, text = append(p, strings.Repeat(string(piece), int(count))...), after
		default:
			return nil, fmt.Errorf(`no such escape: \%c`, rest[0])
		}
	}
	return p, nil
}
