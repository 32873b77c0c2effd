/*
 * The monitor's loop: one process, one poll(), a table of slots (descriptor and handler).
 *
 *   container ── out, err, terminal ──> stream ──> log
 *                                             └──> clients that asked for it
 *   client ── input ──> container            client ── size, signal ──> terminal, init
 *
 * Nothing here grows. A stream is read only when every client has taken the packet before, so a
 * reader that stops, stops the container, and one that leaves lets it go on.
 *
 * After the container exists no error ends this loop.
 */
#include "relay.h"

#include <endian.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum {
	/* So much a client's socket may hold after the end: more than two full pipes. The kernel caps it. */
	LAST_SOCKET_BYTES = 1 << 20,
	/* Only what a container left behind writes more than that after the end. */
	LAST_STREAM_BYTES = 1 << 20,
	/* The last packet waits so long for a client whose socket is full. */
	FAREWELL_MS = 2000,
};

static void set_stream(struct relay_stream *stream, const char *name, char kind,
		       enum client_flag flag, enum debt debt)
{
	stream->name = name;
	stream->kind = kind;
	stream->flag = (unsigned char)flag;
	stream->debt = (unsigned char)debt;
	stream->fd = -1;
}

/* The struct is zero already; its buffers are not touched here. */
void relay_init(struct relay *relay)
{
	relay->terminal = relay->in = relay->out = relay->err = -1;
	relay->listener = relay->first_client = relay->log.fd = -1;
	for (int i = 0; i < WATCHES; i++)
		relay->watches[i].fd = -1;
	relay->journal.fd = -1;
	relay->signal_fd = relay->peer = relay->input_from = -1;
	relay->accepting = true;
	set_stream(&relay->streams[0], "stdout", PACKET_OUTPUT, CLIENT_OUT, OWES_OUT);
	set_stream(&relay->streams[1], "stderr", PACKET_ERROR, CLIENT_ERR, OWES_ERR);
	for (int i = 0; i < 2; i++)
		relay->streams[i].packet = relay->packets[i];
	for (int i = 0; i < RELAY_CLIENTS; i++)
		relay->clients[i].fd = -1;
}

static void set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags >= 0)
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

/* --- signals ------------------------------------------------------------------------------------- */

int relay_signals(struct relay *relay, sigset_t *before)
{
	sigset_t all;
	(void)sigfillset(&all);
	(void)signal(SIGCHLD,
		     SIG_DFL); /* ignored, as some callers leave it, it would lose the status */
	if (sigprocmask(SIG_BLOCK, &all, before) < 0)
		return -1;
	relay->signal_fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	return relay->signal_fd < 0 ? -1 : 0;
}

/*
 * What is left may fit into the sockets at once, and then a reader that does not read just now (a
 * pager, a stopped job) does not delay the word that the container has ended.
 */
static void init_ended(struct relay *relay, int status)
{
	const int bytes = LAST_SOCKET_BYTES;

	relay->ended = true;
	relay->status = status;
	relay->deadline = now_ms() + STALL_MS;
	for (int i = 0; i < RELAY_CLIENTS; i++) {
		struct relay_client *client = &relay->clients[i];
		if (client->fd < 0)
			continue;
		(void)setsockopt(client->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
		pay_client(relay, client);
	}
}

/* All children, since orphans may come to us; only the init's status matters. */
static void reap(struct relay *relay)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid != relay->child && relay->reaped)
			relay->reaped(relay, pid, status);
		else if (pid == relay->child && !relay->ended)
			init_ended(relay, status);
	if (pid < 0 && errno == ECHILD && !relay->ended)
		init_ended(relay, W_EXITCODE(255, 0)); /* somebody else took its status */
}

static bool is_forwarded(const struct relay *relay, int number)
{
	switch (number) {
	case SIGTERM:
		return true;
	case SIGCHLD:
	case SIGPIPE:
	case SIGURG:
	case SIGWINCH:
		return false;
	default:
		return relay->forward_signals;
	}
}

static void on_signals(struct relay *relay, short events)
{
	struct signalfd_siginfo info;

	(void)events;
	while (TEMP_FAILURE_RETRY(read(relay->signal_fd, &info, sizeof info)) == sizeof info) {
		int number = (int)info.ssi_signo;
		relay->told_to_end |= number == SIGTERM;
		if (number == SIGCHLD)
			reap(relay);
		else if (number == SIGALRM && !relay->forward_signals)
			signal_init(relay, SIGKILL); /* its time is over */
		else if (number == SIGUSR1 && relay->asked)
			relay->asked(relay);
		else if (is_forwarded(relay, number))
			signal_init(relay, number);
	}
}

/* --- the container's output ------------------------------------------------------------------------ */

/*
 * We hold the terminal's other end open too, so that a moment in which nobody in the container
 * does is no end of file. The end of a session hangs ours up as well; then a new one takes its
 * place (since Linux 4.13).
 */
static bool hold_peer(struct relay *relay)
{
	shut(&relay->peer);
	relay->peer = ioctl(relay->terminal, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	return relay->peer >= 0;
}

static void end_stream(struct relay *relay, struct relay_stream *stream)
{
	if (stream->fd == relay->terminal)
		stream->fd = -1; /* input and sizes still go there */
	else
		shut(&stream->fd);
}

static void read_stream(struct relay *relay, struct relay_stream *stream)
{
	ssize_t count = TEMP_FAILURE_RETRY(read(stream->fd, stream->packet + 1, RELAY_PACKET - 1));

	if (count < 0 && errno == EAGAIN)
		return;
	if (count < 0 && stream->fd == relay->terminal && !relay->ended && hold_peer(relay))
		return;
	if (count <= 0) {
		end_stream(relay, stream);
		return;
	}
	stream->length = 1 + (size_t)count;
	stream->packet[0] = stream->kind;
	logfile_write(&relay->log, stream->name, stream->packet + 1, (size_t)count);
	journal_write(&relay->journal, stream->kind == PACKET_ERROR, stream->packet + 1,
		      (size_t)count);
	deliver(relay, stream);
	if (relay->ended && (stream->after += (size_t)count) > LAST_STREAM_BYTES)
		end_stream(relay, stream);
}

static void on_out(struct relay *relay, short events)
{
	(void)events;
	read_stream(relay, &relay->streams[0]);
}

static void on_err(struct relay *relay, short events)
{
	(void)events;
	read_stream(relay, &relay->streams[1]);
}

static void on_in(struct relay *relay, short events)
{
	if (relay->input_length > 0)
		write_input(relay);
	else if (events & POLLERR)
		shut(&relay->in); /* nobody will read it */
}

/* --- the loop -------------------------------------------------------------------------------------- */

static void on_listener(struct relay *relay, short events)
{
	(void)events;
	while (!clients_full(relay)) {
		int fd = accept_client(relay->listener);
		if (fd < 0) {
			relay->accepting = errno == EAGAIN;
			return;
		}
		adopt_client(relay, fd, false);
	}
}

static void (*const handlers[SLOT_WATCH])(struct relay *, short) = {
	[SLOT_SIGNALS] = on_signals, [SLOT_LISTENER] = on_listener,
	[SLOT_OUT] = on_out,         [SLOT_ERR] = on_err,
	[SLOT_IN] = on_in,
};

/* The foreground client begins at its own pace, and must miss nothing. */
static bool awaits_hello(const struct relay *relay)
{
	const struct relay_client *first = &relay->clients[0];
	return first->fd >= 0 && first->first && !first->greeted;
}

static bool is_read(const struct relay *relay, const struct relay_stream *stream)
{
	return stream->fd >= 0 && stream->owing == 0 && !awaits_hello(relay);
}

/* How many slots are to be polled: poll refuses more than the limit of open files, which may be a low one. */
static nfds_t arm(struct relay *relay)
{
	struct pollfd *polls = relay->polls;
	nfds_t used = SLOT_CLIENT;
	bool accepts = relay->accepting && !clients_full(relay);
	bool input = relay->input_length > 0;

	polls[SLOT_SIGNALS] = (struct pollfd){relay->signal_fd, POLLIN, 0};
	polls[SLOT_LISTENER] = (struct pollfd){accepts ? relay->listener : -1, POLLIN, 0};
	for (int i = 0; i < WATCHES; i++)
		polls[SLOT_WATCH + i] = (struct pollfd){relay->watches[i].fd,
							relay->watches[i].events, 0};
	for (int i = 0; i < 2; i++) {
		const struct relay_stream *stream = &relay->streams[i];
		int fd = is_read(relay, stream) ? stream->fd : -1;
		polls[SLOT_OUT + i] = (struct pollfd){fd, POLLIN, 0};
	}
	polls[SLOT_IN] = (struct pollfd){input ? input_fd(relay) : relay->in, input ? POLLOUT : 0,
					 0};
	for (int i = 0; i < RELAY_CLIENTS; i++) {
		const struct relay_client *client = &relay->clients[i];
		short events = (short)((client->held ? 0 : POLLIN) | (client->owed ? POLLOUT : 0));
		polls[SLOT_CLIENT + i] = (struct pollfd){client->fd, events, 0};
		if (client->fd >= 0)
			used = (nfds_t)(SLOT_CLIENT + i + 1);
	}
	return used;
}

static void dispatch(struct relay *relay)
{
	for (int slot = 0; slot < SLOT_COUNT; slot++) {
		short events = relay->polls[slot].revents;
		if (events && slot < SLOT_WATCH)
			handlers[slot](relay, events);
		else if (events && slot < SLOT_CLIENT)
			relay->watches[slot - SLOT_WATCH].ready(relay);
		else if (events)
			on_client(relay, &relay->clients[slot - SLOT_CLIENT], events);
	}
}

static bool is_owing(const struct relay *relay)
{
	return relay->streams[0].owing || relay->streams[1].owing || awaits_hello(relay);
}

/* Who took nothing for so long would get an exit status for output that it did not see: it gets neither. */
static void leave_behind(struct relay *relay)
{
	for (int i = 0; i < RELAY_CLIENTS; i++) {
		struct relay_client *client = &relay->clients[i];
		if (client->fd < 0)
			continue;
		if ((client->owed & (OWES_OUT | OWES_ERR)) || (client->first && !client->greeted))
			drop_client(relay, client);
	}
}

/* Take over what the caller set. */
static void begin(struct relay *relay)
{
	if (relay->first_client >= 0)
		adopt_client(relay, steal_fd(&relay->first_client), true);
	relay->streams[0].fd = relay->terminal >= 0 ? relay->terminal : steal_fd(&relay->out);
	relay->streams[1].fd = steal_fd(&relay->err);
	for (int i = 0; i < 2; i++)
		set_nonblocking(relay->streams[i].fd);
	set_nonblocking(relay->in);
	set_nonblocking(relay->listener);
	if (relay->terminal >= 0)
		(void)hold_peer(relay);
	(void)logfile_open(&relay->log);
}

/* What still holds the other ends now learns that nobody listens. */
static void finish(struct relay *relay)
{
	for (int i = 0; i < 2; i++)
		end_stream(relay, &relay->streams[i]);
	shut(&relay->in);
	shut(&relay->peer);
	shut(&relay->terminal);
	logfile_close(&relay->log);
	journal_close(&relay->journal);
}

static int timeout(const struct relay *relay)
{
	if (!relay->ended)
		return -1;
	if (!is_owing(relay))
		return 0;
	long long left = relay->deadline - now_ms();
	return left > 0 ? (int)left : 0;
}

/*
 * Once the init has ended, what is readable is read, and then it is over: another process that
 * holds a pipe (one that an exec session left in the container) is not waited for.
 */
int relay_run(struct relay *relay)
{
	const struct pollfd *polls = relay->polls;
	bool over = false;

	begin(relay);
	reap(relay);
	while (!over) {
		bool draining = relay->ended && !is_owing(relay);
		int ready = poll(relay->polls, arm(relay), timeout(relay));
		if (ready < 0) {
			(void)usleep(100000); /* ENOMEM */
			continue;
		}
		over = draining && !polls[SLOT_OUT].revents && !polls[SLOT_ERR].revents;
		dispatch(relay);
		if (relay->ended && is_owing(relay) && now_ms() >= relay->deadline)
			leave_behind(relay);
	}
	finish(relay);
	return relay->status;
}

void relay_launched(struct relay *relay, pid_t pid)
{
	relay->launched = pid;
	for (int i = 0; i < RELAY_CLIENTS; i++)
		owe_client(relay, &relay->clients[i], OWES_LAUNCHED);
}

/* --- the end --------------------------------------------------------------------------------------- */

/*
 * A socket that is closed with something unread in it is reset, and the other side then reads an
 * error before what it was sent.
 */
static void hang_up(int fd)
{
	char byte;
	(void)shutdown(fd, SHUT_RD);
	while (recv(fd, &byte, 1, MSG_DONTWAIT) > 0)
		;
	(void)close(fd);
}

/* Whether it was said, or never can be; then the client is gone. */
static bool say_last(int *fd, const void *packet, size_t length, int wait_ms)
{
	struct pollfd writable = {*fd, POLLOUT, 0};

	if (wait_ms > 0)
		(void)poll(&writable, 1, wait_ms);
	if (send(*fd, packet, length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EAGAIN)
		return false;
	hang_up(steal_fd(fd));
	return true;
}

/* At once to all who can take it, then to those whose socket is full. */
static void farewell(struct relay *relay, const void *packet, size_t length)
{
	long long deadline = now_ms() + FAREWELL_MS;
	int fd;

	set_nonblocking(relay->listener);
	if (relay->first_client >= 0)
		adopt_client(relay, steal_fd(&relay->first_client), true);
	for (int i = 0; i < RELAY_CLIENTS; i++)
		if (relay->clients[i].fd >= 0)
			(void)say_last(&relay->clients[i].fd, packet, length, 0);
	while (relay->listener >= 0 && (fd = accept_client(relay->listener)) >= 0)
		if (!say_last(&fd, packet, length, 0))
			(void)close(fd);
	shut(&relay->listener);
	for (int i = 0; i < RELAY_CLIENTS; i++) {
		long long left = deadline - now_ms();
		if (relay->clients[i].fd >= 0)
			(void)say_last(&relay->clients[i].fd, packet, length,
				       left > 0 ? (int)left : 0);
		shut(&relay->clients[i].fd);
	}
}

void relay_failed(struct relay *relay, const struct report *report)
{
	char packet[1 + sizeof *report] = {PACKET_REPORT};
	memcpy(packet + 1, report, sizeof *report);
	farewell(relay, packet, sizeof packet);
}

void relay_ended(struct relay *relay, int code)
{
	char packet[1 + sizeof(uint32_t)] = {PACKET_ENDED};
	uint32_t little = htole32((uint32_t)code);
	memcpy(packet + 1, &little, sizeof little);
	farewell(relay, packet, sizeof packet);
}
