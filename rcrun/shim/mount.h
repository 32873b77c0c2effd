/* What the files about mounts share: the kernel's numbers, and paths for calls that take no descriptor. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct record;
struct report;

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

struct mount_flags {
	uint64_t set, clear;           /* attributes of the mount */
	uint64_t deep_set, deep_clear; /* of it and of all beneath */
	unsigned long classic;         /* the same and more, as mount(2) takes them */
	bool recursive, optional, nofollow, plain_end, copy_link, nocreate, bind;
};

/* Word number `word` of the record, read. */
int mount_flags(const struct record *record, int word, struct mount_flags *flags,
		struct report *report);
int set_attributes(int tree, const struct mount_flags *flags, struct report *report);
