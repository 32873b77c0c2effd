/* Calls younger than the C library, and the one fallback that each older kernel needs. */

#include "shim.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif
#define TREE_RECURSIVE  0x8000
#define TREE_EMPTY_PATH 0x1000

int sys_openat2(int dir, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
	struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
	long fd;

	/* EAGAIN: a rename or mount elsewhere raced with `..` in the path; ask again (openat2(2)) */
	do
		fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));
	while (fd < 0 && (errno == EAGAIN || errno == EINTR));
	return (int)fd;
}

int sys_open_tree(int dir, const char *path, unsigned flags)
{
	return (int)syscall(SYS_open_tree, dir, path, flags);
}

int sys_move_mount(int from, int to)
{
	const unsigned from_empty = 0x04, to_empty = 0x40; /* MOVE_MOUNT_{F,T}_EMPTY_PATH */

	return (int)syscall(SYS_move_mount, from, "", to, "", from_empty | to_empty);
}

/* struct mount_attr and its bits, which older headers lack (mount_setattr(2)) */
struct attributes {
	uint64_t set, clear, propagation, userns_fd;
};

static unsigned long remount_flags(uint64_t attributes)
{
	static const struct {
		uint64_t attribute;
		unsigned long flag;
	} known[] = {{1, MS_RDONLY},       {2, MS_NOSUID},     {4, MS_NODEV},
		     {8, MS_NOEXEC},       {0x10, MS_NOATIME}, {0x20, MS_STRICTATIME},
		     {0x80, MS_NODIRATIME}};
	unsigned long found = 0;

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (attributes & known[i].attribute)
			found |= known[i].flag;
	return found;
}

/*
 * Before 5.12 an attached mount can only be remounted whole, one mount at a time. What is not spoken of stays: in a
 * user namespace the kernel lets nobody take nosuid and the like away.
 */
static int old_setattr(int fd, bool recursive, uint64_t set, uint64_t clear, uint64_t propagation)
{
	const uint64_t atimes = 0x70; /* all of them, cleared: relatime */
	const unsigned long same_bits = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
	char path[32] = "/proc/self/fd/";
	char *end = path + strlen(path);
	struct statvfs now;

	if (recursive && (set | clear)) {
		errno = ENOSYS;
		return -1;
	}
	for (int divisor = 10000; divisor; divisor /= 10)
		if (fd >= divisor || divisor == 1)
			*end++ = (char)('0' + fd / divisor % 10);
	if (propagation &&
	    mount(NULL, path, NULL, propagation | (recursive ? MS_REC : 0), NULL) < 0)
		return -1;
	if (!set && !clear)
		return 0;
	if (fstatvfs(fd, &now) < 0)
		return -1;
	unsigned long flags = (now.f_flag & same_bits & ~remount_flags(clear)) | remount_flags(set);
	if ((clear & atimes) && !(set & atimes))
		flags |= MS_RELATIME;
	return mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | flags, NULL);
}

int sys_mount_setattr(int fd, bool recursive, uint64_t set, uint64_t clear, uint64_t propagation)
{
	struct attributes attributes = {set, clear, propagation, 0};
	unsigned flags = TREE_EMPTY_PATH | (recursive ? TREE_RECURSIVE : 0);
	long result = syscall(SYS_mount_setattr, fd, "", flags, &attributes, sizeof(attributes));

	if (result < 0 && errno == ENOSYS)
		return old_setattr(fd, recursive, set, clear, propagation);
	return (int)result;
}

int sys_pidfd_open(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

int sys_close_range(unsigned first, unsigned last, unsigned flags)
{
	long result = syscall(SYS_close_range, first, last, flags);

	if (result == 0)
		return 0;
	/* before 5.11, and where a filter knows no such call: one by one, up to the limit on their numbers */
	long limit = sysconf(_SC_OPEN_MAX);
	for (unsigned fd = first; fd <= last && (long)fd < limit; fd++)
		(void)(flags ? fcntl((int)fd, F_SETFD, FD_CLOEXEC) : close((int)fd));
	return 0;
}

void close_all_but(unsigned from, const int *kept, size_t count)
{
	for (;;) {
		unsigned next = ~0U; /* the lowest that stays */

		for (size_t i = 0; i < count; i++)
			if (kept[i] >= (int)from && (unsigned)kept[i] < next)
				next = (unsigned)kept[i];
		if (next > from)
			(void)sys_close_range(from, next == ~0U ? next : next - 1, 0);
		if (next == ~0U)
			return;
		from = next + 1;
	}
}

/*
 * As fork(2), with namespaces. With CLONE_PARENT exit_signal is 0. clone(2) is for a seccomp filter around us that
 * says ENOSYS to clone3, whose flags it cannot see.
 */
pid_t sys_clone3(uint64_t flags, int exit_signal, int cgroup)
{
	struct clone_args args = {.flags = flags, .exit_signal = (uint64_t)exit_signal};

	if (cgroup >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup;
	}
	long pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0 && errno == ENOSYS && cgroup < 0)
		pid = syscall(SYS_clone, flags | (uint64_t)exit_signal, NULL, NULL, NULL, NULL);
	return (pid_t)pid;
}

int sys_execveat(int fd, char *const argv[], char *const env[])
{
	return (int)syscall(SYS_execveat, fd, "", argv, env, TREE_EMPTY_PATH);
}

int sys_memfd_exec(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd;
}
