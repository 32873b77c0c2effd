/*
 * What a caller names, as an O_PATH descriptor. The path is resolved by the kernel in the caller's own view: from its
 * root, its working directory or its descriptor, all opened through the host's /proc, and never through a magic link,
 * which would be one of ours.
 */

#include "emulate.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/uio.h>

bool caller_memory(const struct question *question, uint64_t address, void *data, size_t size,
		   bool write)
{
	struct iovec here = {data, size}, there = {(void *)(uintptr_t)address, size};
	pid_t pid = (pid_t)question->notif->pid;
	ssize_t done = write ? process_vm_writev(pid, &here, 1, &there, 1, 0)
			     : process_vm_readv(pid, &here, 1, &there, 1, 0);

	return done == (ssize_t)size;
}

/* The bytes of a page are readable together or not at all, so a path may end with the last page that is. */
int read_path(const struct question *question, uint64_t address, char *path, size_t size)
{
	const uint64_t page = 4096;
	size_t first = (size_t)(page - address % page);
	if (first > size)
		first = size;
	struct iovec here = {path, size};
	struct iovec there[2] = {{(void *)(uintptr_t)address, first},
				 {(void *)(uintptr_t)(address + first), size - first}};
	ssize_t length = process_vm_readv((pid_t)question->notif->pid, &here, 1, there,
					  size > first ? 2 : 1, 0);

	if (length < 0)
		return -1;
	if (!memchr(path, '\0', (size_t)length)) {
		errno = length == (ssize_t)size ? ENAMETOOLONG : EFAULT;
		return -1;
	}
	return 0;
}

static int open_of(const struct question *question, const char *what, int flags)
{
	char path[48];

	(void)snprintf(path, sizeof(path), "%d/%s", (int)question->notif->pid, what);
	return openat(question->emulation->proc, path, flags | O_PATH | O_CLOEXEC);
}

int reach_fd(const struct question *question, int fd)
{
	char name[32];

	if (fd < 0) {
		errno = EBADF;
		return -1;
	}
	(void)snprintf(name, sizeof(name), "fd/%d", fd);
	int reached = open_of(question, name, 0);
	if (reached < 0 && errno == ENOENT)
		errno = EBADF;
	return reached;
}

/* The caller's descriptor that a path of this kind means; -1: none. In our own /proc it would be ours. */
static int magic_fd(const char *path)
{
	static const char *const begins[] = {"/proc/self/fd/", "/proc/thread-self/fd/", "/dev/fd/"};

	for (size_t i = 0; i < sizeof(begins) / sizeof(*begins); i++) {
		size_t length = strlen(begins[i]);
		if (strncmp(path, begins[i], length) != 0)
			continue;
		const char *digits = path + length;
		size_t count = strspn(digits, "0123456789");
		if (count && count < 8 && !digits[count])
			return atoi(digits);
	}
	return -1;
}

static int enter_root(const struct emulation *emulation, int root)
{
	int result = fchdir(root) < 0 ? -1 : chroot(".");
	int error = errno;

	if (fchdir(emulation->proc) < 0)
		_exit(125);
	errno = error;
	return result;
}

static int resolve(const struct question *question, int dir, const char *path, int flags)
{
	const struct emulation *emulation = question->emulation;
	autoclose int root = view_of(question)->has_own_root
				     ? open_of(question, "root", O_DIRECTORY)
				     : -1;

	if (view_of(question)->has_own_root && (root < 0 || enter_root(emulation, root) < 0))
		return -1;
	int fd = sys_openat2(dir, path, (uint64_t)flags | O_PATH | O_CLOEXEC, 0,
			     RESOLVE_NO_MAGICLINKS);
	int error = errno;
	if (root >= 0 && enter_root(emulation, emulation->root) < 0)
		_exit(125);
	errno = error;
	return fd;
}

/* Where relative paths begin; -1 with errno 0 for an absolute one. */
static int base_of(const struct question *question, int dir, const char *path)
{
	errno = 0;
	if (*path == '/')
		return -1;
	return dir == AT_FDCWD ? open_of(question, "cwd", 0) : reach_fd(question, dir);
}

static int reach_path(const struct question *question, int dir, const char *path, int flags)
{
	autoclose int base = base_of(question, dir, path);

	if (base < 0 && errno)
		return -1;
	return resolve(question, base, path, flags);
}

int reach(const struct question *question, struct place place, bool follow, bool empty_path)
{
	char path[PATH_MAX];

	if (read_path(question, place.path, path, sizeof(path)) < 0)
		return -1;
	if (!*path && empty_path)
		return place.dir == AT_FDCWD ? open_of(question, "cwd", 0)
					     : reach_fd(question, place.dir);
	int fd = follow ? magic_fd(path) : -1;
	if (fd >= 0)
		return reach_fd(question, fd);
	return reach_path(question, place.dir, path, follow ? 0 : O_NOFOLLOW);
}

/* The directory that something is to be made in, and its name there: no slash, no dots, not empty. */
int reach_parent(const struct question *question, struct place place, char name[256])
{
	char path[PATH_MAX];

	if (read_path(question, place.path, path, sizeof(path)) < 0)
		return -1;
	size_t end = strlen(path);
	while (end > 1 && path[end - 1] == '/')
		path[--end] = '\0';
	char *slash = strrchr(path, '/');
	const char *last = slash ? slash + 1 : path;
	if (!*last || strcmp(last, ".") == 0 || strcmp(last, "..") == 0 || strlen(last) > 255) {
		errno = strlen(last) > 255 ? ENAMETOOLONG : EINVAL;
		return -1;
	}
	memcpy(name, last, strlen(last) + 1);
	if (slash == path)
		return reach_path(question, place.dir, "/", O_DIRECTORY);
	if (slash)
		*slash = '\0';
	return reach_path(question, place.dir, slash ? path : ".", O_DIRECTORY);
}
