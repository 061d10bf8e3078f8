/* Lines echoed by C and epoll alone: what the others are compared with.
 *
 *     memchr PORT     0: a free one; prints the address when it listens
 *
 * Level-triggered, one read per readiness, all answers of a read in one write,
 * no more than the unfinished line kept per connection. Nothing bounds the
 * number of connections, and a line is at most as long as the buffer.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 1024, BUF = 64 << 10 };

struct conn {
	int fd;
	char *tail; /* of the input: a line that has not ended */
	char *rest; /* of the output: what the socket did not take */
	size_t tail_len, rest_len;
};

static int ep;
static char in[BUF], out[BUF];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void *keep(char *old, const char *p, size_t n)
{
	char *kept = realloc(old, n);
	if (!kept)
		die("realloc");
	return memmove(kept, p, n);
}

static void drop(struct conn *c)
{
	close(c->fd);
	free(c->tail);
	free(c->rest);
	free(c);
}

static void want(struct conn *c, unsigned events)
{
	struct epoll_event e = {.events = events, .data.ptr = c};
	if (epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e))
		die("epoll_ctl");
}

/* While output waits nothing is read: a peer that does not listen has to wait. */
static void answer(struct conn *c, size_t len)
{
	ssize_t n = send(c->fd, out, len, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN) {
		drop(c);
		return;
	}
	size_t sent = n < 0 ? 0 : n;
	if (sent < len) {
		c->rest_len = len - sent;
		c->rest = keep(c->rest, out + sent, c->rest_len);
		want(c, EPOLLOUT);
	}
}

static void writable(struct conn *c)
{
	ssize_t n = send(c->fd, c->rest, c->rest_len, MSG_NOSIGNAL);
	if (n < 0) {
		if (errno != EAGAIN)
			drop(c);
		return;
	}
	c->rest_len -= n;
	memmove(c->rest, c->rest + n, c->rest_len);
	if (c->rest_len == 0)
		want(c, EPOLLIN);
}

static void readable(struct conn *c)
{
	size_t old = c->tail_len;
	if (old)
		memcpy(in, c->tail, old);
	ssize_t n = recv(c->fd, in + old, BUF - old, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) { /* also where the buffer is full of one line */
		drop(c);
		return;
	}
	char *line = in, *from = in + old, *end = in + old + n, *lf, *to = out;
	while ((lf = memchr(from, '\n', end - from))) {
		from = lf + 1;
		if (lf == line || lf[-1] != '\r')
			continue;
		size_t len = lf - 1 - line;
		memcpy(to, line, len);
		memcpy(to + len, "\r\n", 2);
		to += len + 2;
		line = from;
	}
	c->tail_len = end - line;
	if (c->tail_len)
		c->tail = keep(c->tail, line, c->tail_len);
	if (to > out)
		answer(c, to - out);
}

static void accept_all(int listener)
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		struct conn *c = calloc(1, sizeof *c);
		if (!c)
			die("calloc");
		c->fd = fd;
		struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
		if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e))
			die("epoll_ctl");
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (argc == 2)
		a.sin_port = htons(atoi(argv[1]));
	setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* the connections inherit it */
	if (bind(listener, (void *)&a, len) || listen(listener, 1024) || getsockname(listener, (void *)&a, &len))
		die("listen");
	struct epoll_event ev[EVENTS], e = {.events = EPOLLIN}; /* no conn: the listener */
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, listener, &e))
		die("epoll");
	printf("127.0.0.1:%d\n", ntohs(a.sin_port));
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(ep, ev, EVENTS, -1);
		if (n < 0 && errno != EINTR)
			die("epoll_wait");
		for (int i = 0; i < n; i++) {
			struct conn *c = ev[i].data.ptr;
			if (!c)
				accept_all(listener);
			else if (c->rest_len)
				writable(c);
			else
				readable(c);
		}
	}
}
