/*
 * The container's output in systemd's journal: one datagram a line, in its native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL):
 * `NAME=VALUE` lines, and for a value of any bytes its name in a line, 64 bits of length, the value, a newline.
 */
#include "relay.h"

#include <endian.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>

enum { MOST_FIELDS = 120, WAIT_SECONDS = 5 };

int journal_open(struct journal *journal)
{
	struct timeval most = {.tv_sec = WAIT_SECONDS};
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (!journal->fields || journal->fd >= 0)
		return 0;
	if (strlen(journal->path) >= sizeof address.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address.sun_path, journal->path);
	autoclose int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		return -1;
	/* A journal that has stopped must not stop us for ever: signals and clients wait, too. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
	if (journal->buffer > 0) {
		int bytes = journal->buffer > 1 << 30 ? 1 << 30 : (int)journal->buffer;
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
	}
	journal->fd = steal_fd(&fd);
	return 0;
}

void journal_close(struct journal *journal)
{
	shut(&journal->fd);
}

static void add(struct iovec *parts, int *count, const void *bytes, size_t length)
{
	parts[(*count)++] = (struct iovec){(void *)(uintptr_t)bytes, length};
}

static void add_text(struct iovec *parts, int *count, const char *text)
{
	add(parts, count, text, strlen(text));
}

/* A journal that was started anew has another socket at the old place. */
static bool send_parts(struct journal *journal, struct iovec *parts, int count)
{
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
	int flags = MSG_NOSIGNAL | (journal->buffer > 0 ? MSG_DONTWAIT : 0);

	for (int attempt = 0; attempt < 2; attempt++) {
		if (journal->fd >= 0 &&
		    TEMP_FAILURE_RETRY(sendmsg(journal->fd, &message, flags)) >= 0)
			return true;
		if (journal->fd >= 0 && errno != ECONNREFUSED && errno != ENOTCONN &&
		    errno != ECONNRESET)
			return false;
		journal_close(journal);
		if (journal_open(journal) < 0)
			return false;
	}
	return false;
}

static void write_line(struct journal *journal, const char *priority, const char *stamp,
		       const char *text, size_t length)
{
	struct iovec parts[2 * MOST_FIELDS + 12];
	bool whole = text[length - 1] == '\n';
	uint64_t bytes = length - whole;
	uint64_t little = htole64(bytes);
	int count = 0;

	add_text(parts, &count, priority);
	add_text(parts, &count, stamp);
	for (char **field = journal->fields; *field && count < 2 * MOST_FIELDS; field++) {
		add_text(parts, &count, *field);
		add_text(parts, &count, "\n");
	}
	if (!whole)
		add_text(parts, &count, "CONTAINER_PARTIAL_MESSAGE=true\n");
	add_text(parts, &count, "MESSAGE\n");
	add(parts, &count, &little, sizeof little);
	add(parts, &count, text, bytes);
	add_text(parts, &count, "\n");
	if (!send_parts(journal, parts, count))
		journal->dropped += length;
}

void journal_write(struct journal *journal, bool error, const char *text, size_t length)
{
	char stamp[sizeof "SYSLOG_TIMESTAMP=" + STAMP + 1] = "SYSLOG_TIMESTAMP=";
	const char *priority = error ? "PRIORITY=3\n" : "PRIORITY=6\n";

	if (!journal->fields)
		return;
	*put_stamp(stamp + strlen(stamp)) = '\n';
	while (length > 0) {
		const char *newline = memchr(text, '\n', length);
		size_t line = newline ? (size_t)(newline + 1 - text) : length;
		write_line(journal, priority, stamp, text, line);
		text += line;
		length -= line;
	}
}
