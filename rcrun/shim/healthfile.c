/* What the checks have said, as docker's inspect has it; written aside and renamed. Its text may be any bytes. */

#include "health.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

const char *health_name(enum health_status status)
{
	static const char *const names[] = {"starting", "healthy", "unhealthy"};

	return names[status];
}

static void put_time(FILE *file, const struct timespec *moment)
{
	struct tm fields;
	char text[32];

	(void)gmtime_r(&moment->tv_sec, &fields);
	(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &fields);
	(void)fprintf(file, "\"%s.%09ldZ\"", text, moment->tv_nsec);
}

/* How many bytes the character has that begins here, 0: it is none (RFC 3629). */
static size_t character(const unsigned char *text, size_t length)
{
	static const struct {
		unsigned char mask, lead;
		unsigned least;
	} kinds[] = {
		{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};

	for (size_t kind = 0; kind < 4; kind++) {
		if ((text[0] & kinds[kind].mask) != kinds[kind].lead)
			continue;
		unsigned value = text[0] & (unsigned char)~kinds[kind].mask;
		for (size_t i = 1; i <= kind; i++) {
			if (i >= length || (text[i] & 0xc0) != 0x80)
				return 0;
			value = value << 6 | (text[i] & 0x3f);
		}
		bool surrogate = value >= 0xd800 && value < 0xe000;
		return value < kinds[kind].least || value > 0x10ffff || surrogate ? 0 : kind + 1;
	}
	return 0;
}

static void put_text(FILE *file, const char *text, size_t length)
{
	const unsigned char *bytes = (const unsigned char *)text;
	size_t size;

	for (size_t at = 0; at < length; at += size) {
		size = character(bytes + at, length - at);
		if (size == 0) {
			(void)fputs("\\ufffd", file);
			size = 1;
		} else if (bytes[at] < 0x20 || bytes[at] == 0x7f) {
			(void)fprintf(file, "\\u%04x", bytes[at]);
		} else if (bytes[at] == '"' || bytes[at] == '\\') {
			(void)fprintf(file, "\\%c", bytes[at]);
		} else {
			(void)fwrite(text + at, 1, size, file);
		}
	}
}

static void put_entry(FILE *file, const struct health_entry *entry)
{
	(void)fputs("{\"Start\":", file);
	put_time(file, &entry->begun);
	(void)fputs(",\"End\":", file);
	put_time(file, &entry->ended);
	(void)fprintf(file, ",\"ExitCode\":%d,\"Output\":\"", entry->code);
	put_text(file, entry->output, entry->length);
	(void)fprintf(file, "%s\"}", entry->cut ? "..." : "");
}

int health_write(const struct health *health, const char *path)
{
	char aside[PATH_MAX];
	unsigned first = health->count > HEALTH_ENTRIES ? health->count - HEALTH_ENTRIES : 0;

	if (snprintf(aside, sizeof(aside), "%s.%d~", path, (int)getpid()) >= (int)sizeof(aside))
		return -1;
	FILE *file = fopen(aside, "we");
	if (!file)
		return -1;
	(void)fprintf(file, "{\"Status\":\"%s\",\"FailingStreak\":%u,\"Log\":[",
		      health_name(health->status), health->streak);
	for (unsigned i = first; i < health->count; i++) {
		if (i > first)
			(void)fputc(',', file);
		put_entry(file, &health->entries[i % HEALTH_ENTRIES]);
	}
	(void)fputs("]}\n", file);
	bool written = !ferror(file);
	if (fclose(file) == 0 && written && rename(aside, path) == 0)
		return 0;
	(void)unlink(aside);
	return -1;
}
