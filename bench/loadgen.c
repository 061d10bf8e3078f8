/* The load: connections that send lines ahead of their echoes, and compare
 * every byte that comes back with what was sent.
 *
 *     loadgen PORT PID CONNS SIZE DEPTH WARM_MS RUN_MS
 *
 * PID is the server's. SIZE is the mean length of a line with its CR LF, DEPTH
 * how many lines of a connection are under way at a time. Prints one JSON
 * object; exits with 1, and says why, if an echo is not the one expected.
 *
 * One thread, which never sleeps: waking up would be measured with the server.
 */
#define _GNU_SOURCE
#include "load.h"
#include <netinet/tcp.h>

enum { EVENTS = 1024, BUF = 256 << 10, TEXT = 64 << 10, DRAIN_MS = 5000 };

/* The lines that all send, over and over, each connection from another one on.
 * They stand there twice, so that whatever is under way is in one piece. */
static char *text;
static size_t *ends; /* behind each line */
static size_t period;
static int lines, depth;

/* Offsets in text. got is in its first half; sent and limit may be in the second. */
struct conn {
	int fd, blocked;
	int line; /* the first that has not come back whole */
	size_t got, sent, limit;
};

static char buf[BUF];
static int ep, draining;
static uint64_t echoed;

/* Lengths from a quarter of the mean to seven quarters: with equal ones, reads
 * would end where lines end. */
static void write_text(int size)
{
	srandom(1);
	lines = depth > TEXT / size ? depth : TEXT / size;
	text = malloc(2 * (size_t)lines * size * 2);
	ends = malloc(2 * lines * sizeof *ends);
	if (!text || !ends)
		die("no memory");
	for (int i = 0; i < lines; i++) {
		size_t start = period;
		period += size / 4 + random() % (size / 2 * 3 + 1);
		for (size_t at = start; at < period - 2; at++)
			text[at] = 'a' + random() % 26;
		memcpy(text + period - 2, "\r\n", 2);
		ends[i] = period;
	}
	memcpy(text + period, text, period);
	for (int i = 0; i < lines; i++)
		ends[lines + i] = period + ends[i];
}

static void send_more(struct conn *c)
{
	while (c->sent < c->limit) {
		ssize_t n = send(c->fd, text + c->sent, c->limit - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			die_errno("send");
		c->sent += n;
	}
	int blocked = c->sent < c->limit;
	if (blocked != c->blocked) {
		struct epoll_event e = {.events = EPOLLIN | (blocked ? EPOLLOUT : 0), .data.ptr = c};
		if (epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e))
			die_errno("epoll_ctl");
		c->blocked = blocked;
	}
}

static void receive(struct conn *c)
{
	ssize_t n = recv(c->fd, buf, sizeof buf, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0)
		die_errno("recv");
	if (n == 0)
		die("the server has closed a connection");
	if ((size_t)n > c->sent - c->got)
		die("more came back than was sent");
	if (memcmp(buf, text + c->got, n))
		die("other bytes came back than were sent");
	c->got += n;
	int before = c->line;
	while (ends[c->line] <= c->got)
		c->line++;
	if (c->line == before)
		return;
	echoed += c->line - before;
	if (c->line >= lines) {
		c->line -= lines;
		c->got -= period;
		c->sent -= period;
		c->limit -= period;
	}
	if (!draining) {
		c->limit = ends[c->line + depth - 1];
		send_more(c);
	}
}

static void dial(struct conn *c, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int on = 1;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) || connect(c->fd, (void *)&a, sizeof a))
		die_errno("connect");
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
	if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e))
		die_errno("epoll_ctl");
}

static void turn(void)
{
	struct epoll_event ev[EVENTS];
	int n = epoll_wait(ep, ev, EVENTS, 0);
	if (n < 0 && errno != EINTR)
		die_errno("epoll_wait");
	for (int i = 0; i < n; i++) {
		if (ev[i].events & EPOLLOUT)
			send_more(ev[i].data.ptr);
		if (ev[i].events & ~EPOLLOUT)
			receive(ev[i].data.ptr);
	}
}

static uint64_t turns_until(uint64_t end)
{
	uint64_t now;
	do
		turn();
	while ((now = nanos(CLOCK_MONOTONIC)) < end);
	return now;
}

int main(int argc, char **argv)
{
	if (argc != 8)
		die("usage: loadgen PORT PID CONNS SIZE DEPTH WARM_MS RUN_MS");
	int port = atoi(argv[1]), pid = atoi(argv[2]), conns = atoi(argv[3]), size = atoi(argv[4]);
	uint64_t warm = atoi(argv[6]) * 1000000ull, run = atoi(argv[7]) * 1000000ull;
	depth = atoi(argv[5]);
	if (conns < 1 || depth < 1 || size < 8)
		die("CONNS and DEPTH are at least 1, SIZE 8");
	write_text(size);

	clockid_t cpu = clock_of(pid);
	struct conn *all = calloc(conns, sizeof *all);
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (!all || ep < 0)
		die_errno("epoll_create1");
	for (int i = 0; i < conns; i++)
		dial(&all[i], port);
	for (int i = 0; i < conns; i++) {
		struct conn *c = &all[i];
		c->line = i % lines;
		c->got = c->sent = c->line ? ends[c->line - 1] : 0;
		c->limit = ends[c->line + depth - 1];
		send_more(c);
	}

	uint64_t from = turns_until(nanos(CLOCK_MONOTONIC) + warm);
	uint64_t used = nanos(cpu), before = echoed;
	uint64_t took = turns_until(from + run) - from;
	used = nanos(cpu) - used;
	uint64_t n = echoed - before;

	draining = 1;
	uint64_t deadline = nanos(CLOCK_MONOTONIC) + DRAIN_MS * 1000000ull;
	for (int i = 0; i < conns; i++)
		while (all[i].got < all[i].limit) {
			turn();
			if (nanos(CLOCK_MONOTONIC) > deadline)
				die("not all that was sent came back");
		}
	result(n, took, used);
	return 0;
}
