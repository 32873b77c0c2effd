/* Directory trees: removed or copied through descriptors, links never followed. */

#include "shim.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>

/*
 * Trees are removed through descriptors, never by path, and no mount on the way is entered. A descriptor is held for
 * every level; a tree that is deeper than DEEPEST has its lower part moved up to the top first.
 */
enum { DEEPEST = 200, ROUNDS = 3 };

struct removal {
	int top;
	unsigned moved;
	int error;
};

static void remove_entries(struct removal *removal, int dir_fd, int depth);

static int open_beneath(int parent, const char *name, int flags)
{
	const uint64_t resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;

	flags |= O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	if (parent == AT_FDCWD) /* the way to the tree is the caller's */
		return openat(parent, name, flags);
	int fd = sys_openat2(parent, name, (uint64_t)flags, 0, resolve);
	return fd < 0 && errno == ENOSYS ? openat(parent, name, flags) : fd;
}

/* A directory of ours that we closed to ourselves: its mode is changed through a descriptor, so of no other. */
static int open_to_empty(int parent, const char *name)
{
	char path[32];
	int fd = open_beneath(parent, name, O_RDONLY);

	if (fd >= 0 || errno != EACCES)
		return fd;
	autoclose int closed = open_beneath(parent, name, O_PATH);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", closed);
	if (closed < 0 || chmod(path, 0700) < 0)
		return -1;
	return open_beneath(parent, name, O_RDONLY);
}

static int unlink_beneath(int parent, const char *name, int flags)
{
	if (unlinkat(parent, name, flags) == 0 || errno == ENOENT)
		return 0;
	if (errno == EACCES && fchmod(parent, 0700) == 0)
		return unlinkat(parent, name, flags);
	return -1;
}

static bool move_up(struct removal *removal, int parent, const char *name)
{
	char aside[32];

	(void)snprintf(aside, sizeof(aside), ".rcrun-%u", removal->moved++);
	return renameat(parent, name, removal->top, aside) == 0;
}

static void remove_directory(struct removal *removal, int parent, const char *name, int depth)
{
	if (depth >= DEEPEST && move_up(removal, parent, name))
		return;
	int fd = open_to_empty(parent, name);
	if (fd >= 0)
		remove_entries(removal, fd, depth);
	else if (errno == ENOENT)
		return;
	if (fd < 0 || unlink_beneath(parent, name, AT_REMOVEDIR) < 0)
		removal->error = errno;
}

/* Takes dir_fd over. */
static void remove_entries(struct removal *removal, int dir_fd, int depth)
{
	DIR *directory = fdopendir(dir_fd);
	struct dirent *entry;

	if (!directory) {
		removal->error = errno;
		(void)close(dir_fd);
		return;
	}
	while ((entry = readdir(directory))) {
		const char *name = entry->d_name;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (entry->d_type != DT_DIR && unlink_beneath(dir_fd, name, 0) == 0)
			continue;
		if (entry->d_type == DT_DIR || errno == EISDIR)
			remove_directory(removal, dir_fd, name, depth + 1);
		else
			removal->error = errno;
	}
	(void)closedir(directory);
}

/* Whoever still writes there makes a directory that was emptied fill again: that is followed for some rounds. */
int remove_tree(const char *path)
{
	struct removal removal = {0};
	struct stat status;

	if (lstat(path, &status) < 0)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISDIR(status.st_mode))
		return unlink(path) == 0 || errno == ENOENT ? 0 : -1;
	for (int round = 0; round < ROUNDS || (removal.moved && !removal.error); round++) {
		removal = (struct removal){0};
		autoclose int top = open_to_empty(AT_FDCWD, path);
		if (top < 0)
			return errno == ENOENT ? 0 : -1; /* somebody else removes it, too */
		removal.top = top;
		remove_entries(&removal, dup(top), 0);
		if (removal.error && removal.error != ENOTEMPTY)
			break;
		if (rmdir(path) == 0 || errno == ENOENT)
			return 0;
		if (errno != ENOTEMPTY)
			return -1;
	}
	errno = removal.error ? removal.error : ENOTEMPTY;
	return -1;
}

static int copy_attributes(int fd, const struct stat *status)
{
	const struct timespec times[2] = {status->st_atim, status->st_mtim};

	/* EINVAL: an id that the user namespace does not know stays ours */
	if ((fchown(fd, status->st_uid, status->st_gid) < 0 && errno != EINVAL) ||
	    fchmod(fd, status->st_mode & 07777) < 0)
		return -1;
	return futimens(fd, times);
}

/* Those that the target takes: capabilities of programs, attributes of users; names of others are not ours to set. */
static void copy_xattrs(int from, int to)
{
	static char names[65536], value[65536];
	ssize_t length = flistxattr(from, names, sizeof(names));

	if (length < 0)
		return;
	for (char *name = names; name < names + length; name += strlen(name) + 1) {
		ssize_t size = fgetxattr(from, name, value, sizeof(value));
		if (size >= 0)
			(void)fsetxattr(to, name, value, (size_t)size, 0);
	}
}

/* Holes stay holes: in the memory of a tmpfs they would cost what they only seem to hold. */
static int copy_content(int from, int to, off_t size)
{
	off_t data = 0, end = 0;

	while (end < size) {
		data = lseek(from, end, SEEK_DATA);
		end = data < 0 ? -1 : lseek(from, data, SEEK_HOLE);
		if (data < 0 && errno == ENXIO)
			break; /* a hole up to the end */
		if (end < 0 || lseek(to, data, SEEK_SET) < 0)
			return -1;
		while (data < end) {
			ssize_t sent = sendfile(to, from, &data, (size_t)(end - data));
			if (sent < 0)
				return -1;
			if (sent == 0)
				end = data = size; /* it became shorter meanwhile */
		}
	}
	return ftruncate(to, size);
}

static int copy_file(int from, int to, const char *name, const struct stat *status)
{
	autoclose int source = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	autoclose int target = openat(to, name,
				      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (source < 0 || target < 0 || copy_content(source, target, status->st_size) < 0)
		return -1;
	/* after the change of owner, which takes capabilities away */
	if (copy_attributes(target, status) < 0)
		return -1;
	copy_xattrs(source, target);
	return 0;
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
	if (fchownat(to, name, status->st_uid, status->st_gid, AT_SYMLINK_NOFOLLOW) < 0 &&
	    errno != EINVAL)
		return -1;
	return 0;
}

static int copy_directory(int from, int to, const char *name)
{
	if (mkdirat(to, name, 0700) < 0)
		return -1;
	autoclose int source = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	autoclose int target = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return source < 0 || target < 0 ? -1 : copy_tree(source, target);
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
		return copy_directory(from, to, name);
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
	copy_xattrs(from, to);
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
