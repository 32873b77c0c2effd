/* Directory trees: removed or copied through descriptors, links never followed. */

#include "shim.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/*
 * Trees are removed through descriptors, never by path. A descriptor is held for every level; a tree
 * that is deeper than DEEPEST has its lower part moved up to the top first.
 */
enum { DEEPEST = 200 };

struct removal {
	int top;
	unsigned moved;
	int error;
};

static void remove_entries(struct removal *removal, int dir_fd, int depth);

static void remove_directory(struct removal *removal, int parent, const char *name, int depth)
{
	if (depth >= DEEPEST) {
		char aside[32];
		(void)snprintf(aside, sizeof(aside), ".rcrun-%u", removal->moved++);
		if (renameat(parent, name, removal->top, aside) == 0)
			return;
	}
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == EACCES && fchmodat(parent, name, 0700, 0) == 0)
		fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		removal->error = errno;
		return;
	}
	remove_entries(removal, fd, depth);
	if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		removal->error = errno;
}

/* Takes dir_fd over. */
static void remove_entries(struct removal *removal, int dir_fd, int depth)
{
	DIR *directory = fdopendir(dir_fd);
	struct dirent *entry;
	bool writable = false;

	if (!directory) {
		removal->error = errno;
		(void)close(dir_fd);
		return;
	}
	while ((entry = readdir(directory))) {
		const char *name = entry->d_name;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (entry->d_type != DT_DIR && unlinkat(dir_fd, name, 0) == 0)
			continue;
		if (entry->d_type != DT_DIR && errno == EACCES && !writable) {
			writable = true;
			if (fchmod(dir_fd, 0700) == 0 && unlinkat(dir_fd, name, 0) == 0)
				continue;
		}
		if (entry->d_type == DT_DIR || errno == EISDIR)
			remove_directory(removal, dir_fd, name, depth + 1);
		else if (errno != ENOENT)
			removal->error = errno;
	}
	(void)closedir(directory);
}

int remove_tree(const char *path)
{
	struct removal removal = {0};
	struct stat status;

	if (lstat(path, &status) < 0)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISDIR(status.st_mode))
		return unlink(path);
	do {
		removal.moved = 0;
		removal.error = 0;
		autoclose int top = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		removal.top = top;
		if (top < 0)
			return -1;
		remove_entries(&removal, dup(top), 0);
	} while (removal.moved && !removal.error);
	if (removal.error) {
		errno = removal.error;
		return -1;
	}
	return rmdir(path);
}

static int copy_attributes(int fd, const struct stat *status)
{
	const struct timespec times[2] = {status->st_atim, status->st_mtim};

	if (fchown(fd, status->st_uid, status->st_gid) < 0 ||
	    fchmod(fd, status->st_mode & 07777) < 0)
		return -1;
	return futimens(fd, times);
}

static int copy_file(int from, int to, const char *name, const struct stat *status)
{
	autoclose int source = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	autoclose int target = openat(to, name,
				      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	ssize_t sent;

	if (source < 0 || target < 0)
		return -1;
	do
		sent = sendfile(target, source, NULL, 1 << 30);
	while (sent > 0);
	return sent < 0 ? -1 : copy_attributes(target, status);
}

static int copy_link(int from, int to, const char *name, const struct stat *status)
{
	char text[PATH_MAX];
	ssize_t length = readlinkat(from, name, text, sizeof(text) - 1);

	if (length < 0)
		return -1;
	text[length] = '\0';
	if (symlinkat(text, to, name) < 0)
		return -1;
	return fchownat(to, name, status->st_uid, status->st_gid, AT_SYMLINK_NOFOLLOW);
}

static int copy_directory(int from, int to, const char *name, const struct stat *status)
{
	if (mkdirat(to, name, 0700) < 0)
		return -1;
	autoclose int source = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	autoclose int target = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (source < 0 || target < 0 || copy_tree(source, target) < 0)
		return -1;
	return copy_attributes(target, status);
}

static int copy_entry(int from, int to, const char *name)
{
	struct stat status;

	if (fstatat(from, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	switch (status.st_mode & S_IFMT) {
	case S_IFREG:
		return copy_file(from, to, name, &status);
	case S_IFDIR:
		return copy_directory(from, to, name, &status);
	case S_IFLNK:
		return copy_link(from, to, name, &status);
	default: /* sockets and devices have no content to bring */
		return 0;
	}
}

int copy_tree(int from, int to)
{
	struct stat status;
	struct dirent *entry;
	int result = 0;
	int copy = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = copy < 0 ? NULL : fdopendir(copy);

	if (!directory)
		return -1;
	while (result == 0 && (entry = readdir(directory)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			result = copy_entry(from, to, entry->d_name);
	(void)closedir(directory);
	if (result < 0 || fstat(from, &status) < 0)
		return -1;
	return copy_attributes(to, &status);
}

int step_remove_tree(struct context *context, const struct record *record, struct report *report)
{
	(void)context;
	report->word = 1;
	TRY(report, remove_tree(record->words[1]));
	report->word = 0;
	return 0;
}
