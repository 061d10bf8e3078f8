/* The load: sockets that send packets ahead of their echoes, and compare each that
 * comes back with the one that was sent.
 *
 *     load PORT PID SOCKETS SIZE DEPTH WARM_MS RUN_MS
 *
 * PID is the server's. SIZE is that of a packet, DEPTH how many of a socket are
 * under way at a time: together no more than fit into a socket's buffer, since one
 * that is lost is an error. Prints one JSON object; exits with 1, and says why, if an
 * echo is not the one expected.
 *
 * One thread, which never sleeps: waking up would be measured with the server.
 */
#define _GNU_SOURCE
#include "../load.h"

enum { EVENTS = 1024, BATCH = 64, SIZE = 64 << 10, DRAIN_MS = 5000 };

struct peer {
	int fd;
	uint64_t sent, got;
};

static int ep, size, depth, draining;
static uint64_t echoed;
static char out[BATCH][SIZE], in[BATCH][SIZE + 64];
static struct iovec to_send[BATCH], to_fill[BATCH];
static struct mmsghdr sending[BATCH], filling[BATCH];

/* A packet is its number over and over, so that each byte counts. */
static void write_packet(char *p, uint64_t number)
{
	for (int at = 0; at < size; at += sizeof number)
		memcpy(p + at, &number, size - at < (int)sizeof number ? size - at : (int)sizeof number);
}

static int is_packet(const char *p, uint64_t number)
{
	for (int at = 0; at < size; at += sizeof number)
		if (memcmp(p + at, &number, size - at < (int)sizeof number ? size - at : (int)sizeof number))
			return 0;
	return 1;
}

static void send_more(struct peer *c)
{
	while (!draining && c->sent < c->got + depth) {
		int n = 0;
		for (; n < BATCH && c->sent + n < c->got + depth; n++)
			write_packet(out[n], c->sent + n);
		n = sendmmsg(c->fd, sending, n, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return; /* what is under way comes first */
		if (n < 0)
			die_errno("sendmmsg");
		c->sent += n;
	}
}

static void receive(struct peer *c)
{
	int n = recvmmsg(c->fd, filling, BATCH, MSG_DONTWAIT, NULL);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0)
		die_errno("recvmmsg");
	for (int i = 0; i < n; i++) {
		if (c->got == c->sent)
			die("more came back than was sent");
		if ((int)filling[i].msg_len != size || !is_packet(in[i], c->got))
			die("another packet came back than was to come");
		c->got++;
	}
	echoed += n;
	send_more(c);
}

static void dial(struct peer *c, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	c->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (void *)&a, sizeof a))
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
	for (int i = 0; i < n; i++)
		receive(ev[i].data.ptr);
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
		die("usage: load PORT PID SOCKETS SIZE DEPTH WARM_MS RUN_MS");
	int port = atoi(argv[1]), sockets = atoi(argv[3]);
	uint64_t warm = atoi(argv[6]) * 1000000ull, run = atoi(argv[7]) * 1000000ull;
	size = atoi(argv[4]);
	depth = atoi(argv[5]);
	if (sockets < 1 || depth < 1 || size < 1 || size > SIZE)
		die("SOCKETS, SIZE and DEPTH are at least 1");
	for (int i = 0; i < BATCH; i++) {
		to_send[i] = (struct iovec){.iov_base = out[i], .iov_len = size};
		sending[i].msg_hdr = (struct msghdr){.msg_iov = &to_send[i], .msg_iovlen = 1};
		to_fill[i] = (struct iovec){.iov_base = in[i], .iov_len = SIZE};
		filling[i].msg_hdr = (struct msghdr){.msg_iov = &to_fill[i], .msg_iovlen = 1};
	}
	clockid_t cpu = clock_of(atoi(argv[2]));
	struct peer *all = calloc(sockets, sizeof *all);
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (!all || ep < 0)
		die_errno("epoll_create1");
	for (int i = 0; i < sockets; i++)
		dial(&all[i], port);
	for (int i = 0; i < sockets; i++)
		send_more(&all[i]);

	uint64_t from = turns_until(nanos(CLOCK_MONOTONIC) + warm);
	uint64_t used = nanos(cpu), before = echoed;
	uint64_t took = turns_until(from + run) - from;
	used = nanos(cpu) - used;
	uint64_t n = echoed - before;

	draining = 1;
	uint64_t deadline = nanos(CLOCK_MONOTONIC) + DRAIN_MS * 1000000ull;
	for (int i = 0; i < sockets; i++)
		while (all[i].got < all[i].sent) {
			turn();
			if (nanos(CLOCK_MONOTONIC) > deadline)
				die("not all that was sent came back");
		}
	result(n, took, used);
	return 0;
}
