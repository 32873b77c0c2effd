/*
 * The attach client: what a foreground run, exec or attach is while its container runs.
 *
 *   standard input ──> I ──> monitor          O, E ──> standard output and error
 *   signals ──> S, W ──> monitor              P, R, X: launched, failed, ended
 *
 * Descriptors 0 to 2 are shared with whoever started us, so O_NONBLOCK is never set on them: they
 * are opened once more for that where they can be. While a packet is being written out none is
 * received, so the monitor and then the container wait for who reads us. X comes last, after all data.
 */
#include "relay.h"

#include <endian.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* A standard stream. */
struct port {
	int fd;
	bool own;     /* a description of our own, which does not block */
	bool socket;  /* has a flag for each call instead */
	bool careful; /* neither: ask before each call, and write little */
};

struct client {
	const struct client_options *options;
	struct report *report;
	int socket, signal_fd;
	struct port in, out, err;
	struct tty tty;
	struct detach detach;
	sigset_t signals, before; /* those that are ours, and the mask that was */
	bool over;
	int result;
	long long resize_at;   /* the size follows that was sent too large before; 0: it is right */
	bool launched, warned; /* P came; a signal came before it */
	bool deaf;             /* the monitor receives no more */
	bool input_open;       /* no end of file yet */
	bool input_taken;      /* the monitor is ready for more */
	bool input_closed;     /* its end was sent */
	size_t input_length;   /* of what is to be sent, with its kind */
	struct port *target;   /* where the packet goes */
	size_t offset, length; /* what of it is left */
	char input[RELAY_PACKET], packet[RELAY_PACKET];
};

static void end(struct client *client, int result)
{
	client->result = result;
	client->over = true;
}

/* --- standard streams ---------------------------------------------------------------------------- */

static struct port open_port(int fd, int mode)
{
	struct port port = {.fd = fd};
	struct stat status;
	int flags = fcntl(fd, F_GETFL);
	char path[32];

	if (flags < 0 || fstat(fd, &status) < 0)
		return port;
	port.socket = S_ISSOCK(status.st_mode);
	if ((flags & O_NONBLOCK) || (!S_ISFIFO(status.st_mode) && !isatty(fd)))
		return port;
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int own = open(path, mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	port.own = own >= 0;
	port.careful = !port.own;
	port.fd = port.own ? own : fd;
	return port;
}

static void close_port(struct port *port)
{
	if (port->own)
		(void)close(port->fd);
	*port = (struct port){.fd = -1};
}

static ssize_t read_port(const struct port *port, char *bytes, size_t size)
{
	if (port->socket)
		return recv(port->fd, bytes, size, MSG_DONTWAIT);
	return read(port->fd, bytes, size);
}

/* A pipe that is writable takes PIPE_BUF without blocking (pipe(7)). */
static ssize_t write_port(const struct port *port, const char *bytes, size_t length)
{
	struct pollfd writable = {port->fd, POLLOUT, 0};

	if (port->socket)
		return send(port->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (port->careful && poll(&writable, 1, 0) == 0) {
		errno = EAGAIN;
		return -1;
	}
	return write(port->fd, bytes, port->careful && length > PIPE_BUF ? PIPE_BUF : length);
}

/* --- signals ------------------------------------------------------------------------------------- */

static void send_small(struct client *client, const void *packet, size_t length)
{
	if (send(client->socket, packet, length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		client->deaf |= errno == EPIPE || errno == ECONNRESET;
}

static void send_size(struct client *client, int more)
{
	uint16_t size[2];
	char packet[1 + sizeof size] = {PACKET_SIZE};

	if (!client->options->terminal || (client->resize_at && !more) || !tty_size(size))
		return;
	size[0] = htole16((uint16_t)(le16toh(size[0]) + more));
	memcpy(packet + 1, size, sizeof size);
	send_small(client, packet, sizeof packet);
}

static void take_terminal(struct client *client)
{
	if (client->launched && client->options->terminal && client->options->in)
		tty_raw(&client->tty);
	send_size(client, 0);
}

/* Let a signal do what it does to any program: end us, or stop us until we are continued. */
static void act_as_usual(struct client *client, int number)
{
	sigset_t this;

	tty_restore(&client->tty);
	(void)sigemptyset(&this);
	(void)sigaddset(&this, number);
	(void)signal(number, SIG_DFL);
	(void)kill(getpid(), number);
	(void)sigprocmask(SIG_UNBLOCK, &this, NULL);
	(void)sigprocmask(SIG_BLOCK, &this, NULL);
	take_terminal(client);
}

/* Until the launch is over nobody acts on a signal; the second one means that somebody is waiting. */
static void forward(struct client *client, int number)
{
	char packet[] = {PACKET_SIGNAL, (char)number};

	if (client->warned && !client->launched && number != SIGCONT)
		act_as_usual(client, number);
	client->warned |= number != SIGCONT;
	send_small(client, packet, sizeof packet);
}

static void on_signals(struct client *client)
{
	struct signalfd_siginfo info;

	while (!client->over && read(client->signal_fd, &info, sizeof info) == sizeof info) {
		int number = (int)info.ssi_signo;
		if (number == SIGWINCH)
			send_size(client, 0);
		else if (number == SIGCONT)
			take_terminal(client);
		if (number != SIGWINCH && client->options->sig_proxy)
			forward(client, number);
		else if (number != SIGWINCH && number != SIGCONT)
			act_as_usual(client, number);
	}
}

/*
 * Which signals are ours. SIGHUP stays ignored if it was when we began (nohup): blocked it would arrive. SIGINT and
 * SIGQUIT do not: a shell ignores them for what it starts with `&`, and kill(1) still means the container. SIGPIPE is
 * only blocked. Reading or changing a terminal in the background stops us.
 */
static int take_signals(struct client *client)
{
	static const int left[] = {SIGKILL, SIGSTOP, SIGCHLD, SIGURG, SIGTTIN, SIGTTOU};
	struct sigaction action;

	(void)sigfillset(&client->signals);
	for (size_t i = 0; i < sizeof left / sizeof *left; i++)
		(void)sigdelset(&client->signals, left[i]);
	if (sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
		(void)sigdelset(&client->signals, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &client->signals, &client->before) < 0)
		return -1;
	(void)sigdelset(&client->signals, SIGPIPE);
	return signalfd(-1, &client->signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* --- input --------------------------------------------------------------------------------------- */

/* Send what is there; after the end of file an empty packet follows. */
static void send_input(struct client *client)
{
	client->input[0] = PACKET_INPUT;
	if (client->input_length == 0 && client->input_taken && !client->input_open &&
	    !client->input_closed) {
		client->input_closed = true;
		client->input_length = 1;
	}
	if (client->input_length == 0 || client->deaf)
		return;
	if (send(client->socket, client->input, client->input_length, MSG_DONTWAIT | MSG_NOSIGNAL) <
	    0) {
		client->deaf = errno != EAGAIN && errno != ENOBUFS && errno != EINTR;
		return;
	}
	client->input_taken = client->input_length == 1;
	client->input_length = 0;
}

static void release_keys(struct client *client)
{
	size_t count = detach_release(&client->detach, client->input + 1);
	if (count > 0)
		client->input_length = 1 + count;
}

static void read_keys(struct client *client, const char *keys, size_t count)
{
	bool detached = false;
	size_t length = detach_filter(&client->detach, keys, count, client->input + 1, &detached);

	client->detach.until = now_ms() + DETACH_MS;
	if (length > 0)
		client->input_length = 1 + length;
	if (!detached)
		return;
	send_input(client);
	end(client, CLIENT_DETACHED);
}

static void read_input(struct client *client)
{
	char keys[512];
	bool filtered = client->detach.count > 0;
	char *bytes = filtered ? keys : client->input + 1;
	size_t size = filtered ? sizeof keys : RELAY_PACKET - 1;

	ssize_t count = read_port(&client->in, bytes, size);
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count <= 0) {
		client->input_open = false;
		release_keys(client);
	} else if (filtered) {
		read_keys(client, keys, (size_t)count);
	} else {
		client->input_length = 1 + (size_t)count;
	}
}

static bool wants_input(const struct client *client)
{
	return client->launched && client->input_open && client->input_taken &&
	       client->input_length == 0 && !client->deaf;
}

/* --- output -------------------------------------------------------------------------------------- */

/*
 * Who reads us has gone: we end as any program in a pipe does, and the container goes on, as it
 * does when docker's client ends.
 */
static void output_broken(struct client *client, int error)
{
	if (error == EPIPE)
		act_as_usual(client, SIGPIPE);
	(void)fail_with(client->report, "write", error);
	(void)snprintf(client->report->text, sizeof client->report->text, "%s",
		       client->target == &client->out ? "standard output" : "standard error");
	end(client, CLIENT_BROKEN);
}

static void write_output(struct client *client)
{
	while (client->length > 0) {
		ssize_t count = write_port(client->target, client->packet + client->offset,
					   client->length);
		if (count < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (count < 0) {
			output_broken(client, errno);
			return;
		}
		client->offset += (size_t)count;
		client->length -= (size_t)count;
	}
}

static void begin_output(struct client *client, struct port *port, bool wanted, size_t length)
{
	client->target = port;
	client->offset = 1;
	client->length = wanted ? length : 0;
	write_output(client);
}

/* --- the monitor --------------------------------------------------------------------------------- */

static void take_end(struct client *client, size_t length)
{
	uint32_t code;
	if (length != sizeof code)
		return;
	memcpy(&code, client->packet + 1, sizeof code);
	end(client, (int)(le32toh(code) & 0xff));
}

static void take_report(struct client *client, size_t length)
{
	if (length != sizeof *client->report)
		return;
	memcpy(client->report, client->packet + 1, length);
	end(client, CLIENT_FAILED);
}

static void take_packet(struct client *client, size_t length)
{
	const struct client_options *options = client->options;

	switch (client->packet[0]) {
	case PACKET_OUTPUT:
		begin_output(client, &client->out, options->out, length);
		break;
	case PACKET_ERROR:
		begin_output(client, &client->err, options->err, length);
		break;
	case PACKET_TAKEN:
		client->input_taken = true;
		break;
	case PACKET_LAUNCHED:
		client->launched = true;
		take_terminal(client);
		break;
	case PACKET_REPORT:
		take_report(client, length);
		break;
	case PACKET_ENDED:
		take_end(client, length);
		break;
	default: /* of a later version */
		break;
	}
}

static void receive(struct client *client)
{
	ssize_t count = recv(client->socket, client->packet, sizeof client->packet, MSG_DONTWAIT);

	if (count > 0)
		take_packet(client, (size_t)count - 1);
	else if (count == 0 || (errno != EAGAIN && errno != EINTR && errno != ECONNRESET))
		end(client, CLIENT_LOST);
	/* ECONNRESET: it did not read our last packet; what it sent before comes with the next call */
}

/* --- the loop ------------------------------------------------------------------------------------ */

static int time_left(long long until)
{
	long long left = until - now_ms();
	return left > 0 ? (int)left : 0;
}

static int keys_timeout(const struct client *client)
{
	if (client->detach.held == 0 || !wants_input(client))
		return -1;
	return time_left(client->detach.until);
}

static int timeout(const struct client *client)
{
	int keys = keys_timeout(client);

	if (client->resize_at == 0)
		return keys;
	int size = time_left(client->resize_at);
	return keys >= 0 && keys < size ? keys : size;
}

static void on_time(struct client *client)
{
	if (keys_timeout(client) == 0)
		release_keys(client);
	if (client->resize_at == 0 || time_left(client->resize_at) > 0)
		return;
	client->resize_at = 0;
	send_size(client, 0);
}

static void turn(struct client *client)
{
	bool writing = client->length > 0, reading = wants_input(client);
	bool unsent = client->input_length > 0 && !client->deaf;
	short events = (short)((writing ? 0 : POLLIN) | (unsent ? POLLOUT : 0));
	struct pollfd polls[] = {
		{events ? client->socket : -1, events, 0},
		{client->signal_fd, POLLIN, 0},
		{reading ? client->in.fd : -1, POLLIN, 0},
		{writing ? client->target->fd : -1, POLLOUT, 0},
	};

	if (poll(polls, sizeof polls / sizeof *polls, timeout(client)) <= 0)
		return;
	if (polls[1].revents)
		on_signals(client);
	if (polls[2].revents && !client->over)
		read_input(client);
	if (polls[3].revents && !client->over)
		write_output(client);
	if (polls[0].revents && !writing && !client->over)
		receive(client);
	client->deaf |= writing && (polls[0].revents & (POLLHUP | POLLERR));
}

static int begin(struct client *client, int socket, const struct client_options *options,
		 struct report *report)
{
	unsigned char flags = (unsigned char)((options->in ? CLIENT_IN : 0) |
					      (options->out ? CLIENT_OUT : 0) |
					      (options->err ? CLIENT_ERR : 0));
	char hello[] = {PACKET_HELLO, (char)flags};

	client->options = options;
	client->report = report;
	client->socket = socket;
	client->in = open_port(STDIN_FILENO, O_RDONLY);
	client->out = open_port(STDOUT_FILENO, O_WRONLY);
	client->err = open_port(STDERR_FILENO, O_WRONLY);
	client->tty.adds_returns = options->adds_returns;
	client->input_open = options->in;
	client->input_closed = !options->in;
	client->input_taken = true;
	if (options->terminal && options->detach_key_count <= DETACH_KEYS_MAX)
		client->detach = (struct detach){.keys = options->detach_keys,
						 .count = options->detach_key_count};
	client->signal_fd = take_signals(client);
	if (client->signal_fd < 0)
		return -1;
	send_small(client, hello, sizeof hello);
	/* A shell draws its prompt again when it sees another size; so it must have time to see it. */
	if (options->redraw)
		client->resize_at = now_ms() + REDRAW_MS;
	send_size(client, options->redraw ? 1 : 0);
	return 0;
}

static void finish(struct client *client)
{
	struct signalfd_siginfo late;

	tty_restore(&client->tty);
	while (read(client->signal_fd, &late, sizeof late) > 0)
		; /* they were the container's */
	(void)close(client->signal_fd);
	(void)sigprocmask(SIG_SETMASK, &client->before, NULL);
	close_port(&client->in);
	close_port(&client->out);
	close_port(&client->err);
	(void)close(client->socket);
}

int client_run(int socket, const struct client_options *options, struct report *report)
{
	static struct client client;

	report_clear(report);
	if (begin(&client, socket, options, report) < 0) {
		(void)fail(report, "signalfd");
		(void)close(socket);
		return CLIENT_BROKEN;
	}
	while (!client.over) {
		on_time(&client);
		send_input(&client);
		turn(&client);
	}
	finish(&client);
	return client.result;
}
