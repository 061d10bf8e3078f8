package main

import (
	"errors"
	"os"
)

// sink is where the file goes to. Its methods may block: they are run beside the
// loop, one after the other.
type sink struct {
	f    *os.File
	name string // to be given when it is complete; "": standard output
}

func create(name string) (*sink, error) {
	if name == "-" {
		return &sink{f: os.Stdout}, nil
	}
	f, err := os.OpenFile(name+".part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	return &sink{f, name}, err
}

func (s *sink) write(p []byte) error {
	_, err := s.f.Write(p)
	return err
}

// close gives the file its name, or leaves what there is of it beside it.
func (s *sink) close(complete bool) error {
	if s.name == "" {
		return nil
	}
	if !complete {
		if st, err := s.f.Stat(); err == nil && st.Size() == 0 {
			os.Remove(s.f.Name())
		}
		return s.f.Close()
	}
	if err := errors.Join(s.f.Sync(), s.f.Close()); err != nil {
		return err
	}
	return os.Rename(s.f.Name(), s.name)
}
