package asynctest

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// logger puts the loop's log into the timeline, looks out for panics, and passes
// all on to the user's own.
type logger struct {
	w    *World
	next *slog.Logger // nil: none
}

func (lg *logger) Enabled(context.Context, slog.Level) bool { return true }

func (lg *logger) Handle(ctx context.Context, r slog.Record) error {
	text := r.Message
	stack := ""
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "stack" {
			stack = "\n" + frames(a.Value.String())
			return true
		}
		text += fmt.Sprintf(" %s=%v", a.Key, a.Value)
		return true
	})
	lg.w.note("log", "%s", text)
	if r.Message == panicked {
		lg.w.panicked = strings.TrimPrefix(text, panicked+" ") + stack
	}
	if lg.next == nil {
		return nil
	}
	return lg.next.Handler().Handle(ctx, r)
}

// panicked is the engine's message for that.
const panicked = "callback panicked"

// The engine uses neither.
func (lg *logger) WithAttrs([]slog.Attr) slog.Handler { return lg }
func (lg *logger) WithGroup(string) slog.Handler      { return lg }
