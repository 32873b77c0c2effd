/* The words for how a mount is made and what it is like: read, and set. */

#include "mount.h"
#include "shim.h"

#include <sys/mount.h>

enum { ATIMES = MS_NOATIME | MS_RELATIME | MS_STRICTATIME };

/* As in mount(8) the last word about something counts: each clears what the words before it said. */
static const struct {
	const char *word;
	uint64_t set, clear;
	unsigned long classic, classic_clear;
} attributes[] = {
	{"ro", ATTR_RDONLY, 0, MS_RDONLY, 0},
	{"rw", 0, ATTR_RDONLY, 0, MS_RDONLY},
	{"nosuid", ATTR_NOSUID, 0, MS_NOSUID, 0},
	{"suid", 0, ATTR_NOSUID, 0, MS_NOSUID},
	{"nodev", ATTR_NODEV, 0, MS_NODEV, 0},
	{"dev", 0, ATTR_NODEV, 0, MS_NODEV},
	{"noexec", ATTR_NOEXEC, 0, MS_NOEXEC, 0},
	{"exec", 0, ATTR_NOEXEC, 0, MS_NOEXEC},
	/* the kernel takes all atime bits at once, and none of them for "relatime" */
	{"noatime", ATTR_NOATIME, ATTR_ATIME, MS_NOATIME, ATIMES},
	{"relatime", 0, ATTR_ATIME, MS_RELATIME, ATIMES},
	{"atime", 0, ATTR_ATIME, 0, ATIMES},
	{"strictatime", ATTR_STRICTATIME, ATTR_ATIME, MS_STRICTATIME, ATIMES},
	{"nodiratime", ATTR_NODIRATIME, 0, MS_NODIRATIME, 0},
	{"diratime", 0, ATTR_NODIRATIME, 0, MS_NODIRATIME},
	{"nosymfollow", ATTR_NOSYMFOLLOW, 0, 256, 0},
	{"symfollow", 0, ATTR_NOSYMFOLLOW, 0, 256},
	/* of a file system; a bind mount has none of its own */
	{"sync", 0, 0, MS_SYNCHRONOUS, 0},
	{"async", 0, 0, 0, MS_SYNCHRONOUS},
	{"dirsync", 0, 0, MS_DIRSYNC, 0},
	{"lazytime", 0, 0, MS_LAZYTIME, 0},
	{"nolazytime", 0, 0, 0, MS_LAZYTIME},
	{"iversion", 0, 0, MS_I_VERSION, 0},
	{"noiversion", 0, 0, 0, MS_I_VERSION},
	{"mand", 0, 0, MS_MANDLOCK, 0},
	{"nomand", 0, 0, 0, MS_MANDLOCK},
	{"acl", 0, 0, MS_POSIXACL, 0},
	{"noacl", 0, 0, 0, MS_POSIXACL},
	{"silent", 0, 0, MS_SILENT, 0},
	{"loud", 0, 0, 0, MS_SILENT},
};

static bool word_is(const char *text, size_t length, const char *word)
{
	return strlen(word) == length && strncmp(text, word, length) == 0;
}

static bool take_attribute(struct mount_flags *flags, const char *text, size_t length, bool deep)
{
	for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++) {
		if (!word_is(text, length, attributes[i].word))
			continue;
		uint64_t *set = deep ? &flags->deep_set : &flags->set;
		uint64_t *clear = deep ? &flags->deep_clear : &flags->clear;
		*set = (*set & ~attributes[i].clear) | attributes[i].set;
		*clear = (*clear & ~attributes[i].set) | attributes[i].clear;
		flags->classic = (flags->classic & ~attributes[i].classic_clear) |
				 attributes[i].classic;
		return true;
	}
	return false;
}

static bool take_word(struct mount_flags *flags, const char *text, size_t length)
{
	const struct {
		const char *word;
		bool *flag;
	} words[] = {
		{"rec", &flags->recursive},       {"optional", &flags->optional},
		{"nofollow", &flags->nofollow},   {"dest-nofollow", &flags->plain_end},
		{"copy-link", &flags->copy_link}, {"nocreate", &flags->nocreate},
		{"bind", &flags->bind},
	};

	if (take_attribute(flags, text, length, false))
		return true;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (word_is(text, length, words[i].word))
			return *words[i].flag = true;
	return *text == 'r' && take_attribute(flags, text + 1, length - 1, true);
}

int mount_flags(const struct record *record, int word, struct mount_flags *flags,
		struct report *report)
{
	const char *text = record->words[word];

	*flags = (struct mount_flags){0};
	while (*text) {
		size_t length = strcspn(text, ",");

		if (length && !take_word(flags, text, length)) {
			report->word = word;
			return fail_with(report, "mount flags", EINVAL);
		}
		text += length + (text[length] == ',');
	}
	return 0;
}

/*
 * What an outer user namespace has locked stays: callers write `rw` for whatever they bind, also where it is on a
 * read-only mount of the host's. Bits are cleared one by one then. Access times are locked as a whole; they are left as
 * they are. Only what is to be set beside those is an error.
 */
static int change(int tree, bool deep, uint64_t set, uint64_t clear)
{
	const uint64_t times = ATTR_ATIME | ATTR_NODIRATIME;

	if (!(set | clear) || sys_mount_setattr(tree, deep, set, clear, 0) == 0)
		return 0;
	if (errno != EPERM || !(clear | (set & times)))
		return -1;
	for (uint64_t bit = 1; bit && bit <= clear; bit <<= 1)
		if (clear & bit & ~times)
			(void)sys_mount_setattr(tree, deep, 0, bit, 0);
	(void)sys_mount_setattr(tree, deep, set & times, clear & times, 0);
	set &= ~times;
	return set ? sys_mount_setattr(tree, deep, set, 0, 0) : 0;
}

int set_attributes(int tree, const struct mount_flags *flags, struct report *report)
{
	if (change(tree, false, flags->set, flags->clear) < 0 ||
	    change(tree, true, flags->deep_set, flags->deep_clear) < 0)
		return fail(report, "mount_setattr");
	return 0;
}
