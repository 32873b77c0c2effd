/*
 * Paths beneath the root of the container. The root is hostile: the kernel resolves every path with the root
 * as its root and refuses magic links; what follows works on the descriptor.
 */

#include "shim.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int open_inside(int root, const char *path, int flags)
{
	return sys_openat2(root, path, (uint64_t)flags | O_CLOEXEC, 0,
			   RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

/* The last component of a path that may end in slashes; false for a path with none, or with `..`. */
static bool split_path(const char *path, char parent[PATH_MAX], char name[256])
{
	size_t end = strlen(path);

	while (end && path[end - 1] == '/')
		end--;
	size_t start = end;
	while (start && path[start - 1] != '/')
		start--;
	if (end == start || end - start > 255 || start >= PATH_MAX)
		return false;
	memcpy(name, path + start, end - start);
	name[end - start] = '\0';
	memcpy(parent, path, start);
	parent[start] = '\0';
	return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int make_directory(int root, const char *path, mode_t mode, int depth);

static int parent_of(int root, const char *path, char name[256], int depth)
{
	char parent[PATH_MAX];

	if (depth > 128 || !split_path(path, parent, name)) {
		errno = EINVAL;
		return -1;
	}
	return make_directory(root, *parent ? parent : "/", 0755, depth + 1);
}

/* Like mkdir -p. A dangling link is an error here: make_inside() follows one that ends the path. */
static int make_directory(int root, const char *path, mode_t mode, int depth)
{
	char name[256];
	int fd = open_inside(root, path, O_PATH | O_DIRECTORY);

	if (fd >= 0 || errno != ENOENT)
		return fd;
	autoclose int parent = parent_of(root, path, name, depth);
	if (parent < 0)
		return -1;
	if (mkdirat(parent, name, mode) < 0 && errno != EEXIST)
		return -1;
	return open_inside(root, path, O_PATH | O_DIRECTORY);
}

int parent_inside(int root, const char *path, char name[256])
{
	return parent_of(root, path, name, 0);
}

static int make_file(int root, const char *path, mode_t mode)
{
	char name[256];
	int fd = open_inside(root, path, O_PATH);

	if (fd >= 0 || errno != ENOENT)
		return fd;
	autoclose int parent = parent_of(root, path, name, 0);
	if (parent < 0)
		return -1;
	autoclose int made = openat(parent, name,
				    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (made < 0 && errno != EEXIST)
		return -1;
	return open_inside(root, path, O_PATH);
}

/* The path that leads where the link at the end of `path` says; false when there is no link. */
static bool follow_link(int root, const char *path, char next[PATH_MAX])
{
	char above[PATH_MAX], name[256], target[PATH_MAX];

	if (!split_path(path, above, name))
		return false;
	autoclose int parent = open_inside(root, *above ? above : "/", O_PATH | O_DIRECTORY);
	if (parent < 0)
		return false;
	ssize_t length = readlinkat(parent, name, target, sizeof(target) - 1);
	if (length < 0)
		return false;
	target[length] = '\0';
	return snprintf(next, PATH_MAX, "%s%s", *target == '/' ? "" : above, target) < PATH_MAX;
}

/*
 * A dangling link at the end of the path: what it leads to is made, beneath the root like everything, since images
 * have links to files that the host is to bring (/etc/resolv.conf). The kernel resolves each path anew.
 */
int make_inside(int root, const char *path, bool directory, mode_t mode)
{
	char places[2][PATH_MAX];

	for (int links = 0; links < 40; links++) {
		int fd = directory ? make_directory(root, path, mode, 0)
				   : make_file(root, path, mode);
		if (fd >= 0 || errno != ENOENT)
			return fd;
		if (!follow_link(root, path, places[links % 2])) {
			errno = ENOENT;
			return -1;
		}
		path = places[links % 2];
	}
	errno = ELOOP;
	return -1;
}

int make_unfollowed(int root, const char *path, bool directory, mode_t mode)
{
	char name[256];
	autoclose int parent = parent_inside(root, path, name);

	if (parent < 0)
		return -1;
	int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 || errno != ENOENT ? fd : make_inside(parent, name, directory, mode);
}

int make_plain_inside(int root, const char *path)
{
	autoclose int made = make_directory(root, path, 0755, 0);

	if (made < 0) {
		if (errno == ENOENT)
			errno = ELOOP; /* a link that leads nowhere is no less a link */
		return -1;
	}
	return sys_openat2(root, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0,
			   RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
}

int step_mkdir(struct context *context, const struct record *record, struct report *report)
{
	mode_t mode = (mode_t)strtoul(record->words[2], NULL, 8);

	autoclose int fd = make_inside(context->root, record->words[1], true, mode);
	return fd < 0 ? fail(report, "mkdirat") : 0;
}
