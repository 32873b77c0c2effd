/*
 * What programs that change users and owners do, and what they look at afterwards: `identity WORD` does one family of
 * calls and prints the first thing that is not as it must be. Static, so that any root will do.
 */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define MUST(condition)                                                                     \
	do {                                                                                \
		errno = 0;                                                                  \
		if (!(condition)) {                                                         \
			printf("line %d: %s: %s\n", __LINE__, #condition, strerror(errno)); \
			_exit(1);                                                           \
		}                                                                           \
	} while (0)
#define MUST_FAIL(call, error) MUST((call) < 0 && errno == (error))

static int in_child(void (*work)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		work();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return status;
}

static void must_be(uid_t real, uid_t effective, uid_t saved, gid_t real_group, gid_t group)
{
	uid_t user[3];
	gid_t groups[3];

	MUST(getresuid(&user[0], &user[1], &user[2]) == 0);
	MUST(user[0] == real && user[1] == effective && user[2] == saved);
	MUST(getuid() == real && geteuid() == effective);
	MUST(getresgid(&groups[0], &groups[1], &groups[2]) == 0);
	MUST(getgid() == real_group && getegid() == group && groups[1] == group);
}

/* As apt's _apt: groups, group, user, and then nothing leads back. */
static void drop(void)
{
	gid_t group = 65534, seen[4];

	MUST(setgroups(1, &group) == 0);
	MUST(getgroups(4, seen) == 1 && seen[0] == 65534);
	MUST(setresgid(group, group, group) == 0);
	MUST(setresuid(42, 42, 42) == 0);
	must_be(42, 42, 42, 65534, 65534);
	MUST_FAIL(setuid(0), EPERM);
	MUST_FAIL(setgid(0), EPERM);
	MUST_FAIL(setgroups(0, NULL), EPERM);
	MUST_FAIL(setresuid(-1, 0, -1), EPERM);
	MUST(setresuid(-1, 42, -1) == 0);
	MUST(getgroups(0, NULL) == 1);
	MUST_FAIL(syscall(SYS_getgroups, -1, seen), EINVAL);
	MUST_FAIL(syscall(SYS_getresuid, 1, 1, 1), EFAULT);
}

static void inherit(void)
{
	drop();
	if (fork() == 0) {
		must_be(42, 42, 42, 65534, 65534);
		execl("/proc/self/exe", "identity", "seen", NULL);
		_exit(1);
	}
	int status;
	wait(&status);
	MUST(status == 0);
}

static void back_and_forth(void)
{
	MUST(seteuid(7) == 0 && setegid(0) == 0);
	must_be(0, 7, 0, 0, 0);
	MUST(seteuid(0) == 0);
	MUST(setreuid(8, 9) == 0);
	must_be(8, 9, 9, 0, 0);
	MUST(setreuid(9, 8) == 0);
	must_be(9, 8, 8, 0, 0);
	MUST_FAIL(setuid(0), EPERM);
	MUST(setfsuid(9) == 8 && setfsuid(-1) == 9);
	MUST_FAIL(setresuid(-1, 10, -1), EPERM);
}

/* setpriv and daemons: the user first, then the group with the capability that was kept; exec ends that. */
static void keep(void)
{
	MUST(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0);
	MUST(setresuid(50, 50, 50) == 0);
	MUST(setresgid(51, 51, 51) == 0 && setgroups(0, NULL) == 0);
	must_be(50, 50, 50, 51, 51);
	MUST(setuid(0) == 0 && setuid(50) == 0);
}

static void bad(void)
{
	MUST_FAIL(setuid(-1), EINVAL);
	MUST_FAIL(syscall(SYS_setgroups, 3, 1), EFAULT);
	MUST_FAIL(syscall(SYS_setgroups, 70000, 1), EINVAL);
	must_be(0, 0, 0, 0, 0);
}

static int ids(void)
{
	void (*const works[])(void) = {drop, inherit, back_and_forth, keep, bad};

	for (size_t i = 0; i < sizeof(works) / sizeof(*works); i++)
		if (in_child(works[i]) != 0)
			return 1;
	must_be(0, 0, 0, 0, 0); /* nobody else became anybody */
	return 0;
}

static void touch(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0644);

	MUST(fd >= 0);
	close(fd);
}

static void of_a_dropped_one(void)
{
	struct stat look;
	char name[] = "/w/tmp.XXXXXX";

	umask(027);
	drop();
	touch("/w/his");
	MUST(mkdir("/w/hisdir", 0777) == 0 && stat("/w/hisdir", &look) == 0);
	MUST((look.st_mode & 0777) == 0750);
	int fd = mkstemp(name); /* O_EXCL: the descriptor comes from elsewhere, and works */
	MUST(fd >= 0 && write(fd, "x", 1) == 1 && fcntl(fd, F_GETFD) == 0);
	int other = open("/w/cloexec", O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	MUST(other >= 0 && fcntl(other, F_GETFD) == FD_CLOEXEC);
	MUST_FAIL(open("/w/cloexec", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
	MUST_FAIL(open("/nowhere/x", O_CREAT | O_RDWR, 0600), ENOENT);
	MUST_FAIL(mkdir("/w/hisdir", 0777), EEXIST);
	MUST(rename(name, "/w/renamed") == 0 && link("/w/renamed", "/w/linked") == 0);
	MUST(symlink("his", "/w/hislink") == 0);
	MUST(mkfifo("/w/hisfifo", 0666) == 0);
	MUST_FAIL(chown("/w/his", 0, 0), EPERM);
	MUST_FAIL(chown("/w/roots", 42, 65534), EPERM);
	MUST(chown("/w/his", -1, 65534) == 0);
	MUST_FAIL(mknod("/w/hisnode", S_IFCHR | 0600, makedev(1, 3)), EPERM);
}

static int files(void)
{
	struct stat look;

	MUST(mkdir("/w", 0755) == 0);
	touch("/w/roots");
	touch("/w/a");
	MUST(chmod("/w/a", 06755) == 0 && chown("/w/a", 11, 12) == 0);
	MUST(stat("/w/a", &look) == 0 && (look.st_mode & 07777) == 0755); /* as chown(2) does */
	MUST(chmod("/w/a", 04755) == 0);
	MUST(chown("/w/a", -1, 13) == 0 && chown("/w/a", -1, -1) == 0);
	MUST(chmod("/w/a", 04755) == 0);
	MUST(link("/w/a", "/w/b") == 0 && rename("/w/b", "/w/c") == 0);
	touch("/w/again");
	MUST(chown("/w/again", 14, 14) == 0 && chown("/w/again", 0, 0) == 0);
	MUST(symlink("nothing", "/w/l") == 0 && lchown("/w/l", 15, 16) == 0);
	MUST(chown("/w/l", 1, 1) < 0 && errno == ENOENT);
	int dir = open("/w", O_RDONLY | O_DIRECTORY);
	touch("/w/at");
	MUST(fchownat(dir, "at", 17, 18, 0) == 0);
	touch("/w/dots");
	MUST(fchownat(dir, "../../w/dots", 19, 20, 0) == 0);
	int at = open("/w/at", O_RDWR);
	MUST(fchown(at, 21, 22) == 0);
	int place = open("/w/dots", O_PATH);
	MUST(fchownat(place, "", 23, 24, AT_EMPTY_PATH) == 0);
	char magic[32];
	touch("/w/magic");
	snprintf(magic, sizeof(magic), "/proc/self/fd/%d", open("/w/magic", O_RDONLY));
	MUST(chown(magic, 25, 26) == 0);
	touch("/w/gone");
	int gone = open("/w/gone", O_RDWR);
	MUST(unlink("/w/gone") == 0 && fchown(gone, 3, 3) == 0);
	MUST(mknod("/w/null", S_IFCHR | 0666, makedev(1, 3)) == 0);
	MUST(mknod("/w/disk", S_IFBLK | 0640, makedev(259, 70000)) == 0 &&
	     chown("/w/disk", 0, 6) == 0);
	MUST(mknod("/w/fifo", S_IFIFO | 0600, 0) == 0 && chown("/w/fifo", 27, 28) == 0);
	MUST_FAIL(mknod("/w/null", S_IFCHR | 0666, makedev(1, 3)), EEXIST);
	MUST_FAIL(chown("/w/none", 1, 1), ENOENT);
	MUST_FAIL(chown((const char *)1, 1, 1), EFAULT);
	MUST_FAIL(fchown(999, 1, 1), EBADF);
	MUST_FAIL(fchownat(dir, "", 1, 1, 0), ENOENT);
	MUST_FAIL(fchownat(dir, "at", 1, 1, 0x40000), EINVAL);
	MUST_FAIL(chown("/w/a/b", 1, 1), ENOTDIR);
	MUST_FAIL(chown("/proc/sys/kernel/hostname", 1, 1), EROFS);
	MUST(chown("/bin", 29, -1) == 0);
	MUST(mkdir("/w/jail", 0755) == 0);
	touch("/w/jail/w");
	return in_child(of_a_dropped_one);
}

static void jailed(void)
{
	MUST(chroot("/w/jail") == 0 && chdir("/") == 0);
	MUST(chown("/w", 31, 32) == 0 && chown("../../w", -1, 33) == 0);
}

static void nested(void)
{
	if (unshare(CLONE_NEWUSER) < 0)
		return;                    /* not allowed here */
	MUST(chown("/w/roots", 5, 5) < 0); /* the kernel's own answer: it has no such ids */
	MUST(getuid() == 65534);
}

/* --- attacks ------------------------------------------------------------------------------------------------- */

static char path[64] = "/w/roots";
static volatile int stop;

static void *flip(void *unused)
{
	static const char *const paths[] = {"/w/roots",  "/w/out",      "../../../../w/roots",
					    "/vol/mine", "/w/up/../..", ""};

	for (unsigned i = 0; !stop; i++)
		strcpy(path, paths[i % 6]);
	return unused;
}

/* Arguments that change under the eyes of whoever reads them; links out of the root; then no less is as it was. */
static int race(void)
{
	pthread_t thread;

	mkdir("/w", 0755);
	touch("/w/roots");
	(void)symlink("/proc/1/root/../../../../../../etc", "/w/out");
	(void)symlink("..", "/w/up");
	MUST(pthread_create(&thread, NULL, flip, NULL) == 0);
	for (int i = 0; i < 1500; i++) {
		(void)chown(path, 66, 67);
		(void)mknod(path, S_IFCHR | 0600, makedev(1, 3));
	}
	stop = 1;
	pthread_join(thread, NULL);
	return 0;
}

static int flood(void)
{
	for (int i = 0; i < 400; i++)
		if (fork() == 0) {
			setresuid(1 + i, 1 + i, 1 + i);
			_exit(getuid() != (uid_t)(1 + i) && geteuid() != 0);
		} else if (i % 50 == 49) {
			for (int status; waitpid(-1, &status, WNOHANG) > 0;)
				MUST(status == 0);
		}
	for (int status; wait(&status) > 0;)
		MUST(status == 0);
	must_be(0, 0, 0, 0, 0);
	return 0;
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";

	setvbuf(stdout, NULL, _IONBF, 0);
	if (strcmp(word, "ids") == 0)
		return ids();
	if (strcmp(word, "seen") == 0) {
		must_be(42, 42, 42, 65534, 65534);
		return 0;
	}
	if (strcmp(word, "files") == 0)
		return files() || in_child(jailed) || in_child(nested);
	if (strcmp(word, "race") == 0)
		return race();
	return strcmp(word, "flood") == 0 ? flood() : 125;
}
