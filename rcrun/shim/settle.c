/* What a process gives back that from now on waits, for hours: the monitor, the port proxy, the room's holder, its DNS server. */

#include "shim.h"

#include <fcntl.h>
#include <sys/mman.h>

void leave_caller(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd < 3 && null >= 0; fd++)
		(void)dup2(null, fd);
	if (null > 2)
		(void)close(null);
	(void)!chdir("/");
}

/*
 * Below our own frame nothing is needed any more, and reads as zero when it is used again. The kernel keeps 1 MiB below a
 * stack free of other mappings, so a part of the range without memory is just that (ENOMEM).
 */
void give_back_stack(void)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), most = 128 * 1024, frame = 512;
	uintptr_t end = ((uintptr_t)__builtin_frame_address(0) - frame) & ~(page - 1);

	(void)madvise((void *)(end - most), most, MADV_DONTNEED);
}
