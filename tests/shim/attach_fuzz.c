/*
 * Packets of any kind at the monitor's attach socket: attach_fuzz SEED SECONDS, or with -DLIBFUZZER the target of
 * libFuzzer (ci/fuzz).
 *
 * The input is a list of operations on a relay with three clients: one says something, reads or leaves, the container
 * reads its input or writes. After each, what the monitor's loop counts on must hold. No container and no poll is there.
 */

#include "relay.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

enum { CLIENTS = 3, LARGEST = 4096 };

static struct relay relay;
static int peers[CLIENTS]; /* the other ends */
static int container;      /* the reading end of its input */

static void promise(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "broken promise: %s\n", what);
	abort();
}

static void check_promises(void)
{
	unsigned owing[2] = {0, 0};

	for (int i = 0; i < RELAY_CLIENTS; i++) {
		const struct relay_client *client = &relay.clients[i];
		for (int s = 0; s < 2; s++)
			owing[s] += !!(client->owed & relay.streams[s].debt);
		promise(client->fd >= 0 || !client->owed, "who left is owed nothing");
		promise(client->greeted || !client->flags, "no flags without a hello");
		promise(!client->deaf || !client->owed, "who takes nothing is owed nothing");
	}
	for (int s = 0; s < 2; s++)
		promise(relay.streams[s].owing == owing[s], "those that owe are counted");
	promise(relay.input_length == 0 ||
			relay.input_offset + relay.input_length <= sizeof(relay.input),
		"the input is within its buffer");
	promise(relay.input_from < RELAY_CLIENTS, "who sent the input");
}

static void begin(void)
{
	int pair[2];
	const int smallest = 1; /* the kernel makes it a few packets */

	relay = (struct relay){0};
	relay_init(&relay);
	if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) < 0)
		abort();
	container = pair[0];
	relay.in = pair[1];
	(void)fcntl(relay.in, F_SETPIPE_SZ, 4096);
	for (int i = 0; i < CLIENTS; i++) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
			abort();
		peers[i] = pair[0];
		(void)setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &smallest, sizeof(smallest));
		adopt_client(&relay, pair[1], i == 0);
	}
}

static void end(void)
{
	for (int i = 0; i < RELAY_CLIENTS; i++)
		shut(&relay.clients[i].fd);
	for (int i = 0; i < CLIENTS; i++)
		shut(&peers[i]);
	shut(&relay.in);
	shut(&container);
}

static void write_output(int number, size_t length)
{
	struct relay_stream *stream = &relay.streams[number];

	/* as the monitor: nothing is read while somebody has not taken the packet before */
	if (stream->owing)
		return;
	memset(stream->packet, 'x', RELAY_PACKET);
	stream->packet[0] = stream->kind;
	stream->length = length % RELAY_PACKET + 1;
	deliver(&relay, stream);
}

static void operate(unsigned char what, const unsigned char *data, size_t length)
{
	char read_[RELAY_PACKET];
	int who = what % CLIENTS;

	switch (what / CLIENTS % 8) {
	case 0:
	case 1:
	case 2:
		(void)!send(peers[who], data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	case 3:
		(void)!recv(peers[who], read_, sizeof(read_), MSG_DONTWAIT);
		break;
	case 4:
		(void)!read(container, read_, 1 + length * 64 % sizeof(read_));
		break;
	case 5:
		write_output(who % 2, length * 67);
		break;
	case 6:
		if (length > 200)
			shut(&peers[who]);
		else
			relay.launched = 1;
		break;
	default:
		if (length > 200)
			shut(&container);
	}
}

/* What the loop does when poll(2) says that everything is there. */
static void turn(void)
{
	if (relay.in >= 0 && relay.input_length)
		write_input(&relay);
	check_promises();
	for (int i = 0; i < RELAY_CLIENTS; i++) {
		if (relay.clients[i].fd < 0)
			continue;
		on_client(&relay, &relay.clients[i], POLLIN | POLLOUT);
		check_promises();
	}
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	(void)signal(SIGPIPE, SIG_IGN);
	begin();
	for (size_t at = 0; at + 2 <= size;) {
		size_t length = data[at + 1], left = size - at - 2;
		if (length == 255) /* larger than any packet may be */
			length = left < RELAY_PACKET + 20 ? left : RELAY_PACKET + 20;
		if (length > left)
			length = left;
		operate(data[at], data + at + 2, length);
		turn();
		at += 2 + length;
	}
	end();
	return 0;
}

#ifndef LIBFUZZER
static uint64_t state;

static unsigned below(unsigned limit)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state >> 20) % limit;
}

/* Operations whose packets are mostly near to what is understood. */
static size_t make(unsigned char *data)
{
	static const char kinds[] = "HIWSHIWSOX";
	size_t size = 0;

	for (unsigned count = below(60); count && size < LARGEST - 300; count--) {
		unsigned length = below(20) ? below(8) : below(256);
		data[size++] = (unsigned char)below(256);
		data[size++] = (unsigned char)length;
		for (unsigned i = 0; i < length && length < 255; i++)
			data[size++] = (unsigned char)below(below(3) ? 8 : 256);
		if (length > 0 && length < 255)
			data[size - length] = (unsigned char)kinds[below(10)];
	}
	return size;
}

int main(int argc, char **argv)
{
	static unsigned char data[LARGEST];
	time_t until = time(NULL) + (argc > 2 ? atoi(argv[2]) : 0);
	long long done = 0;

	state = (argc > 1 ? strtoull(argv[1], NULL, 10) : 0) * 2654435761u + 88172645463325252ull;
	do
		LLVMFuzzerTestOneInput(data, make(data));
	while (++done % 256 || time(NULL) < until);
	printf("%lld lists of packets\n", done);
	return 0;
}
#endif
