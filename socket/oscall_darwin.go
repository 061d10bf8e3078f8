package socket

// Darwin has no such flag.
const sockNonblock Type = 0
