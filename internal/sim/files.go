package sim

import (
	"syscall"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// tree is a file system of Unix sockets. Every directory is there.
type tree struct {
	nodes map[string]*node
	inode uint64
}

// node is the file that a socket was bound to. It outlives the socket.
type node struct {
	inode  uint64
	mode   uint32
	socket socket // nil when it was closed
}

func (t *tree) add(path string, s socket) *node {
	t.inode++
	n := &node{inode: t.inode, mode: 0o755, socket: s}
	t.nodes[path] = n
	return n
}

// Lstat tells what a path is.
func (p *Process) Lstat(path string) (sys.Stat, syscall.Errno) {
	n := p.host.tree.nodes[path]
	if n == nil {
		return sys.Stat{}, syscall.ENOENT
	}
	return sys.Stat{Dev: 1, Ino: n.inode, Socket: true, Mine: true}, 0
}

// Chmod sets the permissions of a path. All processes are the same user's.
func (p *Process) Chmod(path string, mode uint32) syscall.Errno {
	n := p.host.tree.nodes[path]
	if n == nil {
		return syscall.ENOENT
	}
	n.mode = mode
	return 0
}

// Unlink takes a path away.
func (p *Process) Unlink(path string) syscall.Errno {
	if p.host.tree.nodes[path] == nil {
		return syscall.ENOENT
	}
	delete(p.host.tree.nodes, path)
	return 0
}
