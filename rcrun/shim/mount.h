/* What the files about mounts share: the kernel's numbers, and paths for calls that take no descriptor. */
#pragma once

#include <stdio.h>

/* mount_setattr(2) */
enum {
	ATTR_RDONLY = 1,
	ATTR_NOSUID = 2,
	ATTR_NODEV = 4,
	ATTR_NOEXEC = 8,
	ATTR_ATIME = 0x70,
	ATTR_NOATIME = 0x10,
	ATTR_STRICTATIME = 0x20,
	ATTR_NODIRATIME = 0x80,
	ATTR_NOSYMFOLLOW = 0x200000
};
enum { TREE_CLONE = 1, TREE_NOFOLLOW = 0x100, TREE_EMPTY = 0x1000, TREE_RECURSIVE = 0x8000 };

static inline void fd_path(int fd, char path[32])
{
	(void)snprintf(path, 32, "/proc/self/fd/%d", fd);
}
