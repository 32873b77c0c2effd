/*
 * Owners as they were recorded, where programs look: they copy them to new files (cp -p, useradd), or refuse to work with
 * files of somebody else. Most files have no record; for these one look at the attribute is all, and the kernel answers.
 */

#include "emulate.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

enum { SAME = -1 };

/* In our view and without a descriptor: enough to see that there is no record. */
static bool may_have_record(const struct question *question, int dir, const char *path, bool follow)
{
	char whole[PATH_MAX + 48];
	int pid = (int)question->notif->pid;
	struct owner owner;

	if (view_of(question)->has_own_root)
		return true;
	if (*path == '/')
		return recorded_owner(path, follow, &owner);
	const char *slash = *path ? "/" : "";
	if (dir == AT_FDCWD)
		(void)snprintf(whole, sizeof(whole), "%d/cwd%s%s", pid, slash, path);
	else
		(void)snprintf(whole, sizeof(whole), "%d/fd/%d%s%s", pid, dir, slash, path);
	return recorded_owner(whole, follow || !*path, &owner);
}

/* The file, if something is recorded of it: a descriptor and what that is; -1: passed on. */
static int recorded(struct question *question, struct place place, bool follow, bool empty,
		    struct owner *owner)
{
	char path[PATH_MAX] = "", name[32];

	pass_on(question);
	if (is_elsewhere(question) ||
	    (place.path && read_path(question, place.path, path, sizeof(path)) < 0) ||
	    (!*path && !empty) || !may_have_record(question, place.dir, path, follow))
		return -1;
	autoclose int fd = *path ? reach(question, place, follow, false)
				 : reach_fd(question, place.dir);
	name_of(fd, name);
	if (fd < 0 || !recorded_owner(name, true, owner) || !still_asked(question))
		return -1;
	question->response->flags = 0;
	return steal_fd(&fd);
}

static void replace(uint32_t *id, uint32_t recorded_id)
{
	if (recorded_id != (uint32_t)SAME)
		*id = recorded_id;
}

static mode_t mode_of(mode_t mode, const struct owner *owner)
{
	if (!owner->kind || !S_ISREG(mode))
		return mode;
	return (mode & ~(mode_t)S_IFMT) | (owner->kind == 'c' ? S_IFCHR : S_IFBLK);
}

static void stat_place(struct question *question, struct place place, bool follow, bool empty,
		       uint64_t address)
{
	struct owner owner;
	struct stat look;

	autoclose int fd = recorded(question, place, follow, empty, &owner);
	if (fd < 0)
		return;
	/* the call itself: what the C library calls a stat is not everywhere the kernel's */
	if (syscall(SYS_newfstatat, fd, "", &look, AT_EMPTY_PATH) < 0) {
		fail_call(question, errno);
		return;
	}
	replace(&look.st_uid, owner.uid);
	replace(&look.st_gid, owner.gid);
	if (owner.kind && S_ISREG(look.st_mode))
		look.st_rdev = makedev(owner.major, owner.minor);
	look.st_mode = mode_of(look.st_mode, &owner);
	if (!caller_memory(question, address, &look, sizeof(look), true))
		fail_call(question, EFAULT);
}

void answer_stat(struct question *question)
{
	stat_place(question, (struct place){AT_FDCWD, argument(question, 0)}, true, false,
		   argument(question, 1));
}

void answer_lstat(struct question *question)
{
	stat_place(question, (struct place){AT_FDCWD, argument(question, 0)}, false, false,
		   argument(question, 1));
}

void answer_fstat(struct question *question)
{
	stat_place(question, (struct place){(int)argument(question, 0), 0}, true, true,
		   argument(question, 1));
}

void answer_newfstatat(struct question *question)
{
	unsigned flags = (unsigned)argument(question, 3);

	stat_place(question, (struct place){(int)argument(question, 0), argument(question, 1)},
		   !(flags & AT_SYMLINK_NOFOLLOW), flags & AT_EMPTY_PATH, argument(question, 2));
}

void answer_statx(struct question *question)
{
	unsigned flags = (unsigned)argument(question, 2), mask = (unsigned)argument(question, 3);
	struct place place = {(int)argument(question, 0), argument(question, 1)};
	struct owner owner;
	struct statx look;

	autoclose int fd = recorded(question, place, !(flags & AT_SYMLINK_NOFOLLOW),
				    flags & AT_EMPTY_PATH, &owner);
	if (fd < 0)
		return;
	unsigned sync = flags & AT_STATX_SYNC_TYPE;
	if (statx(fd, "", (int)(AT_EMPTY_PATH | sync), mask, &look) < 0) {
		fail_call(question, errno);
		return;
	}
	replace(&look.stx_uid, owner.uid);
	replace(&look.stx_gid, owner.gid);
	if (owner.kind && S_ISREG(look.stx_mode)) {
		look.stx_rdev_major = owner.major;
		look.stx_rdev_minor = owner.minor;
	}
	look.stx_mode = (uint16_t)mode_of(look.stx_mode, &owner);
	if (!caller_memory(question, argument(question, 4), &look, sizeof(look), true))
		fail_call(question, EFAULT);
}
