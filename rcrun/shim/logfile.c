/*
 * The container's log: lines "2026-11-23T08:00:00.123456789Z stdout F text", where P instead of F
 * says that the line goes on in this stream's next record; or docker's json-file, where a text without
 * a newline says that. Records are whole or absent: what does not fit on the disk is taken back and
 * counted, and the container goes on.
 */
#include "relay.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

enum { HEAD = STAMP + 16, TAIL = STAMP + 64, BATCH = 96, PARTS = 6 /* of one record, at most */ };

/* Records that are written with one call. */
struct batch {
	struct iovec parts[BATCH];
	int count;
	size_t bytes;
};

/* What is alike in the records of all that one read brought: heads of ours, and docker's end of a record. */
struct heads {
	char full[HEAD], partial[HEAD];
	char stream[32], time[TAIL];
	size_t length;
};

/* The escaped text of one packet and what was held of the one before. Untouched it costs nothing. */
static char escaped[JSON_EXPANSION * (RELAY_PACKET + 4)];

static char *put_number(char *at, long long value, int width)
{
	for (int i = width - 1; i >= 0; i--, value /= 10)
		at[i] = (char)('0' + value % 10);
	return at + width;
}

/*
 * The date of a day since 1970-01-01. Years begin in March here, so that a leap day is a year's last
 * and the months' lengths follow 153 days in five; gmtime() could load a zone file.
 */
static char *put_date(char *at, long long days)
{
	const long long era_days = 146097; /* 400 years */
	long long since = days + 719468;   /* 0000-03-01 */
	long long era = since / era_days;
	long long day = since % era_days;
	long long year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	long long day_of_year = day - (365 * year + year / 4 - year / 100);
	long long month = (5 * day_of_year + 2) / 153;
	long long day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
	long long civil_month = month < 10 ? month + 3 : month - 9;

	at = put_number(at, era * 400 + year + (civil_month <= 2), 4);
	*at++ = '-';
	at = put_number(at, civil_month, 2);
	*at++ = '-';
	return put_number(at, day_of_month, 2);
}

char *put_stamp(char *at)
{
	struct timespec now = {0};
	(void)clock_gettime(CLOCK_REALTIME, &now);
	long long seconds = now.tv_sec > 0 ? now.tv_sec : 0;

	at = put_date(at, seconds / 86400);
	*at++ = 'T';
	at = put_number(at, seconds / 3600 % 24, 2);
	*at++ = ':';
	at = put_number(at, seconds / 60 % 60, 2);
	*at++ = ':';
	at = put_number(at, seconds % 60, 2);
	*at++ = '.';
	at = put_number(at, now.tv_nsec, 9);
	*at++ = 'Z';
	return at;
}

static void put_heads(struct heads *heads, const char *stream)
{
	char *at = put_stamp(heads->full);
	size_t name = strlen(stream);

	*at++ = ' ';
	memcpy(at, stream, name);
	at += name;
	memcpy(at, " F ", 3);
	heads->length = (size_t)(at + 3 - heads->full);
	memcpy(heads->partial, heads->full, heads->length);
	heads->partial[heads->length - 2] = 'P';
}

static void put_json_ends(struct heads *heads, const char *stream)
{
	char stamp[STAMP + 1] = {0};

	(void)put_stamp(stamp);
	(void)snprintf(heads->stream, sizeof heads->stream, "\",\"stream\":\"%s\"", stream);
	(void)snprintf(heads->time, sizeof heads->time, ",\"time\":\"%s\"}\n", stamp);
}

/* A monitor that was killed may have left half a record. */
static void end_last_line(struct logfile *log)
{
	char last = '\n';
	if (log->size > 0)
		(void)TEMP_FAILURE_RETRY(pread(log->fd, &last, 1, (off_t)log->size - 1));
	if (last != '\n' && TEMP_FAILURE_RETRY(write(log->fd, "\n", 1)) == 1)
		log->size++;
}

static int open_path(const char *path)
{
	return open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
}

int logfile_open(struct logfile *log)
{
	if (!log->path || !*log->path || log->fd >= 0)
		return 0;
	autoclose int fd = open_path(log->path);
	struct stat status;
	if (fd < 0 || fstat(fd, &status) < 0)
		return -1;
	log->fd = steal_fd(&fd);
	log->size = (uint64_t)status.st_size;
	end_last_line(log);
	return 0;
}

void logfile_close(struct logfile *log)
{
	if (log->fd >= 0)
		(void)close(log->fd);
	log->fd = -1;
}

/* A rotated file may have been compressed (log-rotated). One of the two is there. */
static void shift_one(const struct logfile *log, unsigned index, const char *suffix)
{
	char from[PATH_MAX], to[PATH_MAX];

	(void)snprintf(to, sizeof to, "%s.%u%s", log->path, index, suffix);
	if (index == 1)
		(void)snprintf(from, sizeof from, "%s", *suffix ? "" : log->path);
	else
		(void)snprintf(from, sizeof from, "%s.%u%s", log->path, index - 1, suffix);
	if (rename(from, to) < 0)
		(void)unlink(to);
}

/* PATH.1 becomes PATH.2 and so on; the oldest is written over. */
static void shift(const struct logfile *log)
{
	for (unsigned index = log->max_files - 1; index > 0; index--) {
		shift_one(log, index, "");
		if (log->rotated)
			shift_one(log, index, ".gz");
	}
}

/* Nobody waits for it: the loop reaps it with the orphans that come to it. */
static void run_rotated(const struct logfile *log)
{
	sigset_t none;

	if (!log->rotated || fork() != 0)
		return;
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)execv(log->rotated[0], log->rotated);
	_exit(127);
}

/*
 * Where no new file can be made, the old one grows on until it can. Who compresses a rotated file holds the
 * lock of the current one while it puts the result in place, so that names do not move under it.
 */
static void rotate(struct logfile *log)
{
	if (log->max_files > 1) {
		if (log->rotated)
			(void)TEMP_FAILURE_RETRY(flock(log->fd, LOCK_EX));
		shift(log);
		int fd = open_path(log->path);
		if (fd >= 0) {
			(void)close(log->fd);
			log->fd = fd;
			run_rotated(log);
		} else if (log->rotated) {
			(void)flock(log->fd, LOCK_UN);
		}
	} else {
		(void)TEMP_FAILURE_RETRY(ftruncate(log->fd, 0));
	}
	struct stat status;
	log->size = fstat(log->fd, &status) < 0 ? 0 : (uint64_t)status.st_size;
}

/* Step over what was written. */
static void consume(struct batch *batch, int *first, size_t written)
{
	while (*first < batch->count && written >= batch->parts[*first].iov_len)
		written -= batch->parts[(*first)++].iov_len;
	if (written > 0) {
		struct iovec *part = &batch->parts[*first];
		part->iov_base = (char *)part->iov_base + written;
		part->iov_len -= written;
	}
}

static void flush(struct logfile *log, struct batch *batch)
{
	int first = 0;
	while (first < batch->count) {
		ssize_t written = TEMP_FAILURE_RETRY(
			writev(log->fd, batch->parts + first, batch->count - first));
		if (written <= 0) {
			log->dropped += batch->bytes;
			(void)TEMP_FAILURE_RETRY(ftruncate(log->fd, (off_t)log->size));
			break;
		}
		consume(batch, &first, (size_t)written);
	}
	if (first == batch->count)
		log->size += batch->bytes;
	batch->count = 0;
	batch->bytes = 0;
}

static void add(struct batch *batch, const char *bytes, size_t length)
{
	batch->parts[batch->count++] = (struct iovec){(void *)(uintptr_t)bytes, length};
	batch->bytes += length;
}

static void add_record(struct logfile *log, struct batch *batch, const struct heads *heads,
		       const char *text, size_t length)
{
	bool whole = text[length - 1] == '\n';
	uint64_t size = log->size + batch->bytes;

	if (log->max_bytes > 0 && size > 0 &&
	    size + heads->length + length + !whole > log->max_bytes) {
		flush(log, batch);
		rotate(log);
	}
	if (batch->count > BATCH - PARTS)
		flush(log, batch);
	add(batch, whole ? heads->full : heads->partial, heads->length);
	add(batch, text, length);
	if (!whole)
		add(batch, "\n", 1);
}

/* `end` is where the escaped text ends; returns that of this record. */
static char *add_json_record(struct logfile *log, struct batch *batch, const struct heads *heads,
			     char *end, const char *text, size_t length)
{
	char *begin = end;

	end = json_escape(end, text, length);
	size_t size = (size_t)(end - begin) + strlen(log->json) + HEAD + TAIL + 32;
	if (log->max_bytes > 0 && log->size + batch->bytes > 0 &&
	    log->size + batch->bytes + size > log->max_bytes) {
		flush(log, batch);
		rotate(log);
	}
	if (batch->count > BATCH - PARTS)
		flush(log, batch);
	add(batch, "{\"log\":\"", 8);
	add(batch, begin, (size_t)(end - begin));
	add(batch, heads->stream, strlen(heads->stream));
	if (*log->json) {
		add(batch, ",\"attrs\":", 9);
		add(batch, log->json, strlen(log->json));
	}
	add(batch, heads->time, strlen(heads->time));
	return end;
}

/* A character may come in two reads: its beginning is held back, and dropped if it never goes on. */
static void write_json(struct logfile *log, const char *stream, const char *text, size_t length)
{
	char joined[RELAY_PACKET + 4], *end = escaped;
	int index = strcmp(stream, "stderr") == 0;
	size_t held = log->held_length[index];
	struct batch batch = {.count = 0, .bytes = 0};
	struct heads heads;

	memcpy(joined, log->held[index], held);
	memcpy(joined + held, text, length);
	length += held;
	held = json_unfinished(joined, length);
	length -= held;
	memcpy(log->held[index], joined + length, held);
	log->held_length[index] = (unsigned char)held;
	put_json_ends(&heads, stream);
	for (text = joined; length > 0;) {
		const char *newline = memchr(text, '\n', length);
		size_t line = newline ? (size_t)(newline + 1 - text) : length;
		end = add_json_record(log, &batch, &heads, end, text, line);
		text += line;
		length -= line;
	}
	flush(log, &batch);
}

void logfile_write(struct logfile *log, const char *stream, const char *text, size_t length)
{
	struct batch batch;
	struct heads heads;

	if (log->fd < 0)
		return;
	if (log->json) {
		write_json(log, stream, text, length);
		return;
	}
	batch.count = 0;
	batch.bytes = 0;
	put_heads(&heads, stream);
	while (length > 0) {
		const char *newline = memchr(text, '\n', length);
		size_t line = newline ? (size_t)(newline + 1 - text) : length;
		add_record(log, &batch, &heads, text, line);
		text += line;
		length -= line;
	}
	flush(log, &batch);
}
