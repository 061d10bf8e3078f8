"""What asynchat makes of a stream: cases come in as lines of JSON, and go out
again with the events of asynchat.async_chat. No socket is involved.

A case has "stream", a latin-1 string; "cuts", the lengths of its segments in
turn; and "terms", the terminators: the next is set at each found_terminator,
the last one stays. A terminator is a string, a number, or null. With "keep"
nothing is set at found_terminator, "close" is the number of the event at which
the channel closes itself, and "later" a terminator that is set when all has
come."""

import json
import sys
import warnings

warnings.simplefilter("ignore")
import asynchat


class Chat(asynchat.async_chat):
    def __init__(self, case):
        super().__init__(map={})
        self.case, self.events, self.found, self.segment = case, [], 0, b""
        self.set_terminator(term(case["terms"][0]))

    def recv(self, size):
        segment, self.segment = self.segment, b""
        return segment

    def collect_incoming_data(self, data):
        if not data:
            raise AssertionError("empty data")
        self.events.append(["data", data.decode("latin-1")])

    def found_terminator(self):
        self.events.append(["found"])
        self.found += 1
        if self.found == self.case.get("close"):
            self.close()
        if not self.case.get("keep"):
            terms = self.case["terms"]
            self.set_terminator(term(terms[min(self.found, len(terms) - 1)]))

    def run(self):
        stream, i = self.case["stream"].encode("latin-1"), 0
        while stream:
            cuts = self.case.get("cuts") or [len(stream)]
            n = max(1, cuts[i % len(cuts)])
            self.segment, stream, i = stream[:n], stream[n:], i + 1
            self.handle_read()
        if "later" in self.case:
            self.set_terminator(term(self.case["later"]))
        return self.events


def term(t):
    return t.encode("latin-1") if isinstance(t, str) else t


for line in sys.stdin:
    case = json.loads(line)
    case.pop("events", None)
    case["events"] = Chat(case).run()
    print(json.dumps(case))
