package socket

// Darwin sets no flag in the call that makes a descriptor.

const sockFlags Type = 0

const msgCmsgCloexec = 0
