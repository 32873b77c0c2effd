/*
 * Owners and devices. What a program asks for is written beside what the file system can hold: as the attribute
 * user.rcrun.owner of the file, `UID:GID` or `UID:GID:c:MAJOR:MINOR`, which follows it through renames and copies; for
 * what takes no such attribute, and for root's files, as a line `INODE BIRTH UID GID` of the log (docs/store.md).
 */

#include "emulate.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define OWNER "user.rcrun.owner"

enum { SAME = -1 };

static bool look_at(int fd, struct statx *look)
{
	return statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID, look) ==
	       0;
}

/* Not of a volume or a directory of the host: these keep what the file system says. */
static bool is_of_root(const struct emulation *emulation, const struct statx *look)
{
	uint64_t dev = (uint64_t)look->stx_dev_major << 32 | look->stx_dev_minor;

	return look->stx_mnt_id == emulation->root_mount || dev == emulation->root_dev;
}

static bool takes_attribute(const struct statx *look)
{
	return S_ISREG(look->stx_mode) || S_ISDIR(look->stx_mode);
}

static void write_log(struct emulation *emulation, const struct statx *look,
		      const struct owner *owner)
{
	char line[128];
	int length = snprintf(line, sizeof(line), "%llu %lld%09u %u %u\n",
			      (unsigned long long)look->stx_ino, (long long)look->stx_btime.tv_sec,
			      look->stx_btime.tv_nsec, owner->uid, owner->gid);

	if ((size_t)length > emulation->log_left)
		return; /* nobody has so many links: somebody fills the disk */
	emulation->log_left -= (size_t)length;
	(void)!write(emulation->log, line, (size_t)length);
}

/* Our working directory is the host's /proc. */
void name_of(int fd, char name[32])
{
	(void)snprintf(name, 32, "self/fd/%d", fd);
}

bool recorded_owner(const char *path, bool follow, struct owner *owner)
{
	char value[64];
	ssize_t length = follow ? getxattr(path, OWNER, value, sizeof(value) - 1)
				: lgetxattr(path, OWNER, value, sizeof(value) - 1);

	*owner = (struct owner){(uint32_t)SAME, (uint32_t)SAME, '\0', 0, 0};
	if (length <= 0)
		return false;
	value[length] = '\0';
	int words = sscanf(value, "%u:%u:%c:%u:%u", &owner->uid, &owner->gid, &owner->kind,
			   &owner->major, &owner->minor);
	if (words != 5)
		owner->kind = '\0';
	return words >= 2;
}

int record_owner(struct emulation *emulation, int fd, const struct owner *owner)
{
	struct statx look;
	char name[32], value[64];

	if (!look_at(fd, &look))
		return -1;
	if (!is_of_root(emulation, &look))
		return 0;
	name_of(fd, name);
	if (!takes_attribute(&look)) {
		write_log(emulation, &look, owner);
		return 0;
	}
	if (owner->uid == 0 && owner->gid == 0 && !owner->kind) {
		(void)removexattr(name, OWNER);
		write_log(emulation, &look, owner);
		return 0;
	}
	int length = owner->kind ? snprintf(value, sizeof(value), "%u:%u:%c:%u:%u", owner->uid,
					    owner->gid, owner->kind, owner->major, owner->minor)
				 : snprintf(value, sizeof(value), "%u:%u", owner->uid, owner->gid);
	if (setxattr(name, OWNER, value, (size_t)length, 0) < 0 && errno != EOPNOTSUPP)
		return -1;
	return 0;
}

static bool is_member(const struct person *person, uint32_t gid)
{
	for (int i = 0; i < person->group_count; i++)
		if (person->groups[i] == gid)
			return true;
	return gid == person->group.fs || gid == person->group.effective;
}

/* chown(2): who is not root may give a file of his to a group of his. */
static bool may_give(const struct person *person, const struct owner *now, uint32_t uid,
		     uint32_t gid)
{
	if (!person || person->user.effective == 0)
		return true;
	uint32_t owner = now->uid == (uint32_t)SAME ? 0 : now->uid;
	if (owner != person->user.fs || (uid != (uint32_t)SAME && uid != owner))
		return false;
	return gid == (uint32_t)SAME || gid == now->gid || is_member(person, gid);
}

static int give(const struct question *question, int fd, uint32_t uid, uint32_t gid)
{
	const struct person *person = person_of(question);
	struct statx look;
	char name[32];

	if (!look_at(fd, &look))
		return -1;
	struct owner owner = {uid, gid, '\0', 0, 0};
	bool has_attribute = takes_attribute(&look);
	name_of(fd, name);
	if (person || uid == (uint32_t)SAME || gid == (uint32_t)SAME || look.stx_size == 0)
		(void)recorded_owner(name, true, &owner);
	if (!may_give(person, &owner, uid, gid)) {
		errno = EPERM;
		return -1;
	}
	/* to whom it belongs already: the kernel refuses what it would refuse, takes set-ID bits away, copies up */
	if (fchownat(fd, "", uid == (uint32_t)SAME ? uid : 0, gid == (uint32_t)SAME ? gid : 0,
		     AT_EMPTY_PATH) < 0)
		return -1;
	/* in the log -1 means what was said before */
	if (uid != (uint32_t)SAME || !has_attribute)
		owner.uid = uid;
	if (gid != (uint32_t)SAME || !has_attribute)
		owner.gid = gid;
	return record_owner(question->emulation, fd, &owner);
}

static void chown_reached(struct question *question, int reached, uint32_t uid, uint32_t gid)
{
	autoclose int fd = reached;

	if (fd < 0 || give(question, fd, uid, gid) < 0)
		fail_call(question, errno);
}

static void chown_place(struct question *question, struct place place, bool follow, bool empty,
			int ids_at)
{
	if (is_elsewhere(question)) {
		pass_on(question);
		return;
	}
	int fd = reach(question, place, follow, empty);
	if (fd >= 0 && !still_asked(question)) {
		(void)close(fd);
		fd = -1;
		errno = ESRCH;
	}
	chown_reached(question, fd, (uint32_t)argument(question, ids_at),
		      (uint32_t)argument(question, ids_at + 1));
}

void answer_chown(struct question *question)
{
	chown_place(question, (struct place){AT_FDCWD, argument(question, 0)}, true, false, 1);
}

void answer_lchown(struct question *question)
{
	chown_place(question, (struct place){AT_FDCWD, argument(question, 0)}, false, false, 1);
}

void answer_fchownat(struct question *question)
{
	unsigned flags = (unsigned)argument(question, 4);

	if (flags & ~(unsigned)(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) {
		fail_call(question, EINVAL);
		return;
	}
	chown_place(question, (struct place){(int)argument(question, 0), argument(question, 1)},
		    !(flags & AT_SYMLINK_NOFOLLOW), flags & AT_EMPTY_PATH, 2);
}

/* fchown(2) takes no O_PATH descriptor: there the kernel says so. */
void answer_fchown(struct question *question)
{
	if (is_elsewhere(question)) {
		pass_on(question);
		return;
	}
	int fd = reach_fd(question, (int)argument(question, 0));
	if (fd >= 0 && !still_asked(question)) {
		(void)close(fd);
		fd = -1;
		errno = ESRCH;
	}
	chown_reached(question, fd, (uint32_t)argument(question, 1),
		      (uint32_t)argument(question, 2));
}

/* --- nodes: an empty file stands for a device, the record says which ------------------------------------------- */

static int make_node(const struct question *question, struct place place, mode_t mode, dev_t device,
		     const struct owner *owner)
{
	char name[256];
	struct status status;

	if (!read_status(question->emulation, (pid_t)question->notif->pid, &status)) {
		errno = ESRCH;
		return -1;
	}
	autoclose int parent = reach_parent(question, place, name);
	if (parent < 0)
		return -1;
	if (!still_asked(question)) {
		errno = ESRCH;
		return -1;
	}
	mode_t allowed = mode & (mode_t)07777 & ~status.umask;
	if (!owner->kind && mknodat(parent, name, (mode & S_IFMT) | allowed, device) < 0)
		return -1;
	autoclose int fd = owner->kind
				   ? openat(parent, name,
					    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
					    allowed)
				   : openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -1 : record_owner(question->emulation, fd, owner);
}

static void mknod_place(struct question *question, struct place place, int mode_at)
{
	mode_t mode = (mode_t)argument(question, mode_at);
	dev_t device = (dev_t)(uint32_t)argument(question, mode_at + 1);
	bool is_device = (S_ISCHR(mode) || S_ISBLK(mode)) && device; /* 0:0 is a whiteout */
	const struct person *person = person_of(question);
	bool is_plain = !person || (person->user.fs == 0 && person->group.fs == 0);

	if ((!is_device && (is_plain || S_ISCHR(mode) || S_ISBLK(mode))) ||
	    is_elsewhere(question)) {
		pass_on(question);
		return;
	}
	struct owner owner = {person ? person->user.fs : 0, person ? person->group.fs : 0, '\0', 0,
			      0};
	if (is_device && person && person->user.effective != 0) {
		fail_call(question, EPERM);
		return;
	}
	if (is_device) {
		owner.kind = S_ISCHR(mode) ? 'c' : 'b';
		owner.major = major(device);
		owner.minor = minor(device);
	}
	if (make_node(question, place, mode, device, &owner) < 0)
		fail_call(question, errno);
}

void answer_mknod(struct question *question)
{
	mknod_place(question, (struct place){AT_FDCWD, argument(question, 0)}, 1);
}

void answer_mknodat(struct question *question)
{
	mknod_place(question, (struct place){(int)argument(question, 0), argument(question, 1)}, 2);
}
