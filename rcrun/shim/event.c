/*
 * The log of events: a line of JSON each, written whole by one append, so that nobody needs a lock (docs/store.md).
 * `events FILE ATTRIBUTES_FILE IMAGE ATTRIBUTES [removed]`: IMAGE is a JSON text, ATTRIBUTES a JSON object without its
 * closing brace; ATTRIBUTES_FILE is read in their place where somebody wrote it (rename).
 */

#include "shim.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

enum { ROTATED_AT = 1 << 20 };

/* One who rotates holds a lock, and looks whether another was first. */
static void rotate(int fd, const char *path)
{
	struct stat ours, there;
	autofree char *old = NULL;

	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return;
	if (fstat(fd, &ours) < 0 || stat(path, &there) < 0 || ours.st_ino != there.st_ino)
		return;
	if (asprintf(&old, "%s.1", path) < 0)
		old = NULL; /* asprintf(3) leaves it undefined */
	else
		(void)rename(path, old);
}

static void append(const char *path, const char *line, size_t length)
{
	struct stat status;
	autoclose int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return;
	(void)!TEMP_FAILURE_RETRY(write(fd, line, length));
	if (fstat(fd, &status) == 0 && status.st_size >= ROTATED_AT)
		rotate(fd, path);
}

/* NULL: nobody wrote any. */
static char *newer_attributes(const char *path)
{
	char *text = NULL;
	size_t length;
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || read_all(fd, &text, &length) < 0)
		return NULL;
	if (length > 0)
		return text;
	free(text);
	return NULL;
}

void event(const struct plan *plan, const char *action, const char *more, ...)
{
	const struct record *record = plan->settings.events;
	autofree char *extra = NULL;
	autofree char *line = NULL;
	struct timespec now;
	va_list arguments;

	if (!record)
		return;
	va_start(arguments, more);
	int length = vasprintf(&extra, more, arguments);
	va_end(arguments);
	if (length < 0) {
		extra = NULL;
		return;
	}
	autofree char *newer = newer_attributes(record->words[2]);
	const char *id = plan->settings.id, *image = record->words[3];
	(void)clock_gettime(CLOCK_REALTIME, &now);
	length = asprintf(&line,
			  "{\"status\":\"%s\",\"id\":\"%s\",\"from\":%s,\"Type\":\"container\","
			  "\"Action\":\"%s\",\"Actor\":{\"ID\":\"%s\",\"Attributes\":%s%s}},"
			  "\"scope\":\"local\",\"time\":%lld,\"timeNano\":%lld%09ld}\n",
			  action, id, image, action, id, newer ? newer : record->words[4], extra,
			  (long long)now.tv_sec, (long long)now.tv_sec, now.tv_nsec);
	if (length < 0)
		line = NULL;
	else
		append(record->words[1], line, (size_t)length);
}

/* Whether nothing of the container is left once the records of on-exit have run. */
bool event_of_removal(const struct plan *plan)
{
	return plan->settings.events && plan->settings.events->count > 5;
}
