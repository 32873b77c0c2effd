/* What a process makes that believes not to be root is its own. For everybody else the kernel does it. */

#include "emulate.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/ioctl.h>

#ifndef SECCOMP_ADDFD_FLAG_SEND
#define SECCOMP_ADDFD_FLAG_SEND (1UL << 1)
#endif

/* The owner of what it makes; false: passed on. */
static bool own_things(struct question *question, struct owner *owner)
{
	const struct person *person = person_of(question);

	if (!person || (person->user.fs == 0 && person->group.fs == 0) || is_elsewhere(question)) {
		pass_on(question);
		return false;
	}
	*owner = (struct owner){person->user.fs, person->group.fs, '\0', 0, 0};
	return true;
}

/* Where it is to be made, and with what bits; -1: passed on, the kernel has the right error. */
static int prepare(struct question *question, struct place place, char name[256], mode_t *mode)
{
	struct status status;

	autoclose int parent = reach_parent(question, place, name);
	if (parent < 0 || !read_status(question->emulation, (pid_t)question->notif->pid, &status) ||
	    !still_asked(question)) {
		pass_on(question);
		return -1;
	}
	*mode &= (mode_t)07777 & ~status.umask;
	return steal_fd(&parent);
}

/* The descriptor becomes the caller's, as the result of its call. */
static void hand_over(struct question *question, int fd, int flags)
{
	struct seccomp_notif_addfd addfd = {
		.id = question->notif->id,
		.flags = SECCOMP_ADDFD_FLAG_SEND,
		.srcfd = (uint32_t)fd,
		.newfd_flags = (uint32_t)flags & O_CLOEXEC,
	};
	int listener = question->emulation->listener;

	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &addfd) >= 0) {
		question->emulation->answered = true;
		return;
	}
	addfd.flags = 0;
	int given = errno == EINVAL ? ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &addfd) : -1;
	if (given < 0)
		fail_call(question, errno); /* EMFILE, most likely */
	else
		question->response->val = given;
}

/* Only if it is new; what is there, the kernel opens. */
static void make_file(struct question *question, struct place place, int flags, mode_t mode)
{
	const int not_ours = O_CLOEXEC | O_TRUNC | O_PATH;
	char name[256];
	struct owner owner;

	if (!own_things(question, &owner))
		return;
	autoclose int parent = prepare(question, place, name, &mode);
	if (parent < 0)
		return;
	autoclose int fd = openat(
		parent, name,
		(flags & ~not_ours) | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, mode);
	if (fd < 0) {
		pass_on(question);
		return;
	}
	if (record_owner(question->emulation, fd, &owner) < 0)
		fail_call(question, errno);
	else
		hand_over(question, fd, flags);
}

void answer_open(struct question *question)
{
	make_file(question, (struct place){AT_FDCWD, argument(question, 0)},
		  (int)argument(question, 1), (mode_t)argument(question, 2));
}

void answer_openat(struct question *question)
{
	make_file(question, (struct place){(int)argument(question, 0), argument(question, 1)},
		  (int)argument(question, 2), (mode_t)argument(question, 3));
}

void answer_creat(struct question *question)
{
	make_file(question, (struct place){AT_FDCWD, argument(question, 0)}, O_WRONLY,
		  (mode_t)argument(question, 1));
}

static void make_directory(struct question *question, struct place place, mode_t mode)
{
	char name[256];
	struct owner owner;

	if (!own_things(question, &owner))
		return;
	autoclose int parent = prepare(question, place, name, &mode);
	if (parent < 0)
		return;
	if (mkdirat(parent, name, mode) < 0) {
		fail_call(question, errno);
		return;
	}
	autoclose int fd = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || record_owner(question->emulation, fd, &owner) < 0)
		fail_call(question, errno);
}

void answer_mkdir(struct question *question)
{
	make_directory(question, (struct place){AT_FDCWD, argument(question, 0)},
		       (mode_t)argument(question, 1));
}

void answer_mkdirat(struct question *question)
{
	make_directory(question, (struct place){(int)argument(question, 0), argument(question, 1)},
		       (mode_t)argument(question, 2));
}

static void make_link(struct question *question, uint64_t target_at, struct place place)
{
	char name[256], target[PATH_MAX];
	mode_t mode = 0;
	struct owner owner;

	if (!own_things(question, &owner))
		return;
	if (read_path(question, target_at, target, sizeof(target)) < 0) {
		fail_call(question, errno);
		return;
	}
	autoclose int parent = prepare(question, place, name, &mode);
	if (parent < 0)
		return;
	if (symlinkat(target, parent, name) < 0) {
		fail_call(question, errno);
		return;
	}
	autoclose int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || record_owner(question->emulation, fd, &owner) < 0)
		fail_call(question, errno);
}

void answer_symlink(struct question *question)
{
	make_link(question, argument(question, 0), (struct place){AT_FDCWD, argument(question, 1)});
}

void answer_symlinkat(struct question *question)
{
	make_link(question, argument(question, 0),
		  (struct place){(int)argument(question, 1), argument(question, 2)});
}
