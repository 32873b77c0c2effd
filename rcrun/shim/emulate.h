/*
 * Root emulation for who has a single id (docs/plan.md, "The emulation of root"): what the files of the supervisor share.
 *
 *  C  loads a filter that has the listener asked about calls of identity, and sends the listener to its parent
 *  M  forks S, and goes on
 *  S  ("rcrun:emul") enters C's user and mount namespace with no more rights than C's, and answers until the last
 *     process with the filter is gone
 *
 * S does what a call asks with its own hands, on descriptors that it has looked up in the caller's view, or lets the
 * kernel do it (SECCOMP_USER_NOTIF_FLAG_CONTINUE). Arguments may change meanwhile: S has no right that the container
 * has not, so a race gains nothing.
 */
#pragma once

#include "shim.h"

#include <linux/seccomp.h>
#include <sys/stat.h>

enum { MOST_GROUPS = 64, MOST_PEOPLE = 2048 };

struct ids {
	uint32_t real, effective, saved, fs;
};

/* A process that is not simply root; who is not in the table is root, with the groups that the kernel says. */
struct person {
	pid_t pid;
	unsigned long long
		start; /* clock ticks since boot; tells a process from a later one with its pid */
	unsigned long long since; /* when it became this: children born before are not like it */
	bool changed;             /* false: known to be root */
	bool has_groups;          /* it has set them */
	bool keeps;               /* PR_SET_KEEPCAPS, of this program: */
	uint64_t program_dev, program_ino;
	int group_count;
	struct ids user, group;
	uint32_t groups[MOST_GROUPS];
};

/* How a caller sees the world: looked at again after VIEW_MS, and when it may have changed it. */
struct view {
	pid_t pid;
	long long looked_ms;
	bool is_elsewhere; /* in a user namespace of its own */
	bool has_own_root; /* a chroot(2), another mount namespace */
};

enum { VIEW_MS = 10 };

struct emulation {
	int listener, log, proc, root; /* proc: the host's /proc, our working directory */
	uint64_t root_dev, root_ino, root_mount, user_ino;
	size_t log_left;
	struct view view;
	bool answered; /* with a descriptor: there is nothing more to send */
	long long swept_ms;
	size_t people_count;
	struct person people[MOST_PEOPLE];
};

/* One question. Answers: `fail_call` an errno, `pass_on` to the kernel, else 0 or `response->val`. */
struct question {
	struct emulation *emulation;
	const struct seccomp_notif *notif;
	struct seccomp_notif_resp *response;
};

typedef void answer_fn(struct question *question);

static inline uint64_t argument(const struct question *question, int index)
{
	return question->notif->data.args[index];
}

static inline void fail_call(struct question *question, int error)
{
	question->response->error = -error;
}

static inline void pass_on(struct question *question)
{
	question->response->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
}

/* --- emulate.c */
bool still_asked(const struct question *question); /* what was looked up by pid was the caller's */

/* --- emulate_ids.c */
struct status {
	pid_t group, parent; /* of threads, of the process */
	mode_t umask;
};
bool read_status(const struct emulation *emulation, pid_t pid, struct status *status);
const struct view *view_of(const struct question *question);
static inline bool is_elsewhere(const struct question *question)
{
	return view_of(question)->is_elsewhere;
}
const struct person *person_of(const struct question *question); /* NULL: root */
answer_fn answer_setuid, answer_setgid, answer_setreuid, answer_setregid, answer_setresuid,
	answer_setresgid, answer_setfsuid, answer_setfsgid, answer_setgroups, answer_getuid,
	answer_geteuid, answer_getgid, answer_getegid, answer_getresuid, answer_getresgid,
	answer_getgroups, answer_keepcaps, answer_new_view;

/* --- emulate_paths.c */
struct place {
	int dir; /* what a relative path begins at: AT_FDCWD or a descriptor of the caller's */
	uint64_t path; /* in the caller's memory */
};
/* O_PATH descriptors, looked up as the caller would; -1: errno. */
int reach(const struct question *question, struct place place, bool follow, bool empty_path);
int reach_fd(const struct question *question, int fd);
int reach_parent(const struct question *question, struct place place, char name[256]);
bool caller_memory(const struct question *question, uint64_t address, void *data, size_t size,
		   bool write);
int read_path(const struct question *question, uint64_t address, char *path, size_t size);

/* --- emulate_files.c */
struct owner {
	uint32_t uid, gid;
	char kind; /* c or b of a device that is recorded, 0: what it is */
	unsigned major, minor;
};
void name_of(int fd, char name[32]); /* a path to what our descriptor is */
int record_owner(struct emulation *emulation, int fd, const struct owner *owner);
answer_fn answer_chown, answer_lchown, answer_fchown, answer_fchownat, answer_mknod, answer_mknodat;

/* Of what a path from our working directory leads to; false: nothing is recorded. */
bool recorded_owner(const char *path, bool follow, struct owner *owner);

/* --- emulate_stat.c */
answer_fn answer_fstat, answer_newfstatat, answer_statx, answer_stat, answer_lstat;

/* --- emulate_make.c */
answer_fn answer_open, answer_openat, answer_creat, answer_mkdir, answer_mkdirat, answer_symlink,
	answer_symlinkat;
