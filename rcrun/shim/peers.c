/*
 * The clients of a monitor: who they are, what they say, and what they are sent.
 *
 * Input is held one packet at a time. A client sends the next when the last was taken
 * (PACKET_TAKEN), so that a signal never queues behind input that the container does not read.
 */
#include "relay.h"

#include <endian.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

enum sent { SENT, SENT_LATER, SENT_NEVER /* and nothing more */ };

long long now_ms(void)
{
	struct timespec now = {0};
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void shut(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

/* --- input ------------------------------------------------------------------------------------- */

int input_fd(const struct relay *relay)
{
	return relay->terminal >= 0 ? relay->terminal : relay->in;
}

/*
 * The end of a client's input ends the container's only where the foreground client brought it
 * (as docker's StdinOnce): `attach` may come and go. A terminal has no end of input; what ends
 * reading there is a character that somebody types.
 */
static void end_input(struct relay *relay)
{
	if (!relay->input_once)
		return;
	if (relay->input_length > 0)
		relay->input_ends = true;
	else
		shut(&relay->in);
}

static void input_done(struct relay *relay, bool taken)
{
	relay->input_length = 0;
	for (int i = 0; i < RELAY_CLIENTS; i++)
		relay->clients[i].held = false;
	if (taken && relay->input_from >= 0)
		owe_client(relay, &relay->clients[relay->input_from], OWES_TAKEN);
	if (relay->input_ends)
		end_input(relay);
}

/*
 * Input that nobody reads any more is not acknowledged: its sender stops reading its own input, as
 * it would if the container just did not read.
 */
void write_input(struct relay *relay)
{
	while (relay->input_length > 0) {
		ssize_t count = TEMP_FAILURE_RETRY(write(
			input_fd(relay), relay->input + relay->input_offset, relay->input_length));
		if (count < 0 && errno == EAGAIN)
			return;
		if (count < 0) {
			shut(&relay->in);
			input_done(relay, relay->terminal >= 0);
			return;
		}
		relay->input_offset += (size_t)count;
		relay->input_length -= (size_t)count;
	}
	input_done(relay, true);
}

/* --- clients ----------------------------------------------------------------------------------- */

/* It takes nothing more. What it has said is still heard: a client may say its word and leave. */
static void forget_debts(struct relay *relay, struct relay_client *client)
{
	for (int i = 0; i < 2; i++)
		relay->streams[i].owing -= !!(client->owed & relay->streams[i].debt);
	client->owed = 0;
	client->deaf = true;
}

void drop_client(struct relay *relay, struct relay_client *client)
{
	int index = (int)(client - relay->clients);
	bool brought_input = client->first && (!client->greeted || (client->flags & CLIENT_IN));

	forget_debts(relay, client);
	shut(&client->fd);
	*client = (struct relay_client){.fd = -1};
	relay->accepting = true;
	if (relay->input_from == index)
		relay->input_from = -1;
	if (brought_input) {
		relay->input_once = true;
		end_input(relay);
	}
}

static enum sent send_packet(struct relay *relay, struct relay_client *client, const void *packet,
			     size_t length)
{
	ssize_t count = TEMP_FAILURE_RETRY(
		send(client->fd, packet, length, MSG_DONTWAIT | MSG_NOSIGNAL));
	if (count >= 0)
		return SENT;
	if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
		return SENT_LATER;
	forget_debts(relay, client);
	return SENT_NEVER;
}

static enum sent send_number(struct relay *relay, struct relay_client *client, char kind,
			     uint32_t value)
{
	char packet[1 + sizeof value] = {kind};
	uint32_t little = htole32(value);
	memcpy(packet + 1, &little, sizeof little);
	return send_packet(relay, client, packet, sizeof packet);
}

static bool pay_stream(struct relay *relay, struct relay_client *client,
		       struct relay_stream *stream)
{
	if (!(client->owed & stream->debt))
		return true;
	if (send_packet(relay, client, stream->packet, stream->length) != SENT)
		return false;
	client->owed &= (unsigned char)~stream->debt;
	stream->owing--;
	relay->deadline = now_ms() + STALL_MS;
	return true;
}

/* Send what is owed, until the socket is full. */
void pay_client(struct relay *relay, struct relay_client *client)
{
	static const char taken[] = {PACKET_TAKEN};

	if (client->owed & OWES_LAUNCHED) {
		if (send_number(relay, client, PACKET_LAUNCHED, (uint32_t)relay->launched) != SENT)
			return;
		client->owed &= (unsigned char)~OWES_LAUNCHED;
	}
	if (!pay_stream(relay, client, &relay->streams[0]) ||
	    !pay_stream(relay, client, &relay->streams[1]))
		return;
	if ((client->owed & OWES_TAKEN) && send_packet(relay, client, taken, sizeof taken) == SENT)
		client->owed &= (unsigned char)~OWES_TAKEN;
}

void owe_client(struct relay *relay, struct relay_client *client, enum debt debt)
{
	if (client->fd < 0 || client->deaf)
		return;
	client->owed |= (unsigned char)debt;
	pay_client(relay, client);
}

void adopt_client(struct relay *relay, int fd, bool first)
{
	for (int i = 0; i < RELAY_CLIENTS; i++) {
		struct relay_client *client = &relay->clients[i];
		if (client->fd >= 0)
			continue;
		*client = (struct relay_client){.fd = fd, .first = first};
		if (relay->launched)
			owe_client(relay, client, OWES_LAUNCHED);
		return;
	}
	(void)close(fd);
}

bool clients_full(const struct relay *relay)
{
	for (int i = 0; i < RELAY_CLIENTS; i++)
		if (relay->clients[i].fd < 0)
			return false;
	return true;
}

static bool is_ours(int fd)
{
	struct ucred peer;
	socklen_t length = sizeof peer;
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
	       (peer.uid == geteuid() || peer.uid == 0);
}

/* -1: nobody is waiting, or errno says what failed. */
int accept_client(int listener)
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0 || is_ours(fd))
			return fd;
		(void)close(fd);
	}
}

/* --- packets from a client --------------------------------------------------------------------- */

static bool take_hello(struct relay *relay, struct relay_client *client, const char *data,
		       size_t length)
{
	if (client->greeted || length != 1 || (*data & ~(CLIENT_IN | CLIENT_OUT | CLIENT_ERR)))
		return false;
	client->greeted = true;
	client->flags = (unsigned char)*data;
	if (client->first && (client->flags & CLIENT_IN))
		relay->input_once = true;
	return true;
}

static bool take_input(struct relay *relay, struct relay_client *client, size_t length)
{
	if (!(client->flags & CLIENT_IN))
		return false;
	if (length == 0) {
		end_input(relay);
	} else if (input_fd(relay) >= 0) {
		relay->input_offset = 1;
		relay->input_length = length;
		relay->input_from = (int)(client - relay->clients);
		write_input(relay);
	}
	return true;
}

static bool take_size(const struct relay *relay, const char *data, size_t length)
{
	uint16_t size[2];
	if (length != sizeof size)
		return false;
	memcpy(size, data, sizeof size);
	struct winsize window = {.ws_row = le16toh(size[0]), .ws_col = le16toh(size[1])};
	if (relay->terminal >= 0 && window.ws_row && window.ws_col)
		(void)ioctl(relay->terminal, TIOCSWINSZ, &window);
	return true;
}

/* The init is a child that nobody but this loop reaps, so its pid cannot have become another's. */
void signal_init(const struct relay *relay, int number)
{
	if (!relay->ended && relay->child > 0)
		(void)kill(relay->child, number);
}

static bool take_packet(struct relay *relay, struct relay_client *client, const char *packet,
			size_t length)
{
	const char *data = packet + 1;

	if (length == 0 || (!client->greeted && *packet != PACKET_HELLO))
		return false;
	length--;
	switch (*packet) {
	case PACKET_HELLO:
		return take_hello(relay, client, data, length);
	case PACKET_INPUT:
		return take_input(relay, client, length);
	case PACKET_SIZE:
		return take_size(relay, data, length);
	case PACKET_SIGNAL:
		if (length != 1 || *data < 1 || *data >= NSIG)
			return false;
		relay->stopped |= *data == SIGTERM || *data == SIGINT || *data == SIGQUIT;
		signal_init(relay, *data);
		return true;
	default:
		return false;
	}
}

/* False: it holds input, for which there is no room before the container took the last. */
static bool may_receive(const struct relay *relay, struct relay_client *client)
{
	char kind;
	if (relay->input_length == 0)
		return true;
	client->held = recv(client->fd, &kind, 1, MSG_PEEK | MSG_DONTWAIT) == 1 &&
		       kind == PACKET_INPUT;
	return !client->held;
}

static void receive(struct relay *relay, struct relay_client *client)
{
	char small[8]; /* while the input is in use only such packets are received */
	bool busy = relay->input_length > 0;
	char *packet = busy ? small : relay->input;
	size_t size = busy ? sizeof small : sizeof relay->input;

	ssize_t count = TEMP_FAILURE_RETRY(
		recv(client->fd, packet, size, MSG_DONTWAIT | MSG_TRUNC));
	/* ECONNRESET, once: it left without reading our last packet; what it said before comes with the next call */
	if (count < 0 && (errno == EAGAIN || errno == ECONNRESET))
		return;
	if (count <= 0 || (size_t)count > size ||
	    !take_packet(relay, client, packet, (size_t)count))
		drop_client(relay, client);
}

void on_client(struct relay *relay, struct relay_client *client, short events)
{
	if ((events & POLLOUT) && client->owed)
		pay_client(relay, client);
	if (client->fd < 0)
		return;
	if (client->held) {
		if (events & (POLLHUP | POLLERR))
			drop_client(relay, client);
	} else if ((events & ~POLLOUT) && may_receive(relay, client)) {
		receive(relay, client);
	}
}

void deliver(struct relay *relay, struct relay_stream *stream)
{
	for (int i = 0; i < RELAY_CLIENTS; i++) {
		struct relay_client *client = &relay->clients[i];
		if (client->fd < 0 || client->deaf || !(client->flags & stream->flag))
			continue;
		if (send_packet(relay, client, stream->packet, stream->length) == SENT_LATER) {
			client->owed |= stream->debt;
			stream->owing++;
		}
	}
}
