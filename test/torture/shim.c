/*-------------------------------------------------------------------------
 *
 * shim.c
 *	  A disk and a clock that misbehave, for one server at a time.
 *
 * Preloaded into the servers.  A postmaster works in its data directory, so
 * that is where each looks for its orders: the file of struct ShimOrders
 * (shim.h), mapped once and inherited by all of its processes.  Without the
 * file, or with all of it 0, nothing is different.
 *
 * A disk that is full still takes what overwrites a file; so do the segments
 * of the WAL that are there already.
 *
 *-------------------------------------------------------------------------
 */
#include "shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static const ShimOrders nothing;
static const ShimOrders *orders;

/* The function that this one stands in front of. */
#define REAL(name) \
	static __typeof__(name) *real; \
	if (real == NULL) \
		real = (__typeof__(name) *) dlsym(RTLD_NEXT, #name)

static const ShimOrders *
ordered(void)
{
	int			saved_errno = errno;
	int			fd;
	void	   *map;

	if (orders != NULL)
		return orders;
	fd = open(SHIM_FILE, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
	{
		map = mmap(NULL, sizeof(ShimOrders), PROT_READ, MAP_SHARED, fd, 0);
		if (map != MAP_FAILED)
			orders = map;
		close(fd);
	}
	errno = saved_errno;
	return orders != NULL ? orders : &nothing;
}

/* ------------------------------------------------------------------------
 * The disk
 * ------------------------------------------------------------------------
 */

/* 0, or -1 with errno set. */
static int
before_sync(void)
{
	const ShimOrders *now = ordered();

	if (now->sync_delay_ms > 0)
	{
		struct timespec delay = {now->sync_delay_ms / 1000,
		now->sync_delay_ms % 1000 * 1000000};

		(void) nanosleep(&delay, NULL);
	}
	if (now->sync_fails == 0)
		return 0;
	errno = EIO;
	return -1;
}

/*
 * Would this make a file longer?  offset < 0: at the place where it is.
 */
static int
before_write(int fd, off_t offset, size_t length)
{
	struct stat file;

	if (ordered()->disk_is_full == 0 || fstat(fd, &file) != 0 || !S_ISREG(file.st_mode))
		return 0;
	if (offset < 0)
	{
		offset = lseek(fd, 0, SEEK_CUR);
		if (fcntl(fd, F_GETFL) & O_APPEND)
			offset = file.st_size;
	}
	if (offset + (off_t) length <= file.st_size)
		return 0;
	errno = ENOSPC;
	return -1;
}

int
fdatasync(int fd)
{
	REAL(fdatasync);
	return before_sync() == 0 ? real(fd) : -1;
}

int
fsync(int fd)
{
	REAL(fsync);
	return before_sync() == 0 ? real(fd) : -1;
}

ssize_t
write(int fd, const void *bytes, size_t length)
{
	REAL(write);
	return before_write(fd, -1, length) == 0 ? real(fd, bytes, length) : -1;
}

ssize_t
pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
	REAL(pwrite);
	return before_write(fd, offset, length) == 0 ? real(fd, bytes, length, offset) : -1;
}

ssize_t
pwritev(int fd, const struct iovec *pieces, int count, off_t offset)
{
	size_t		length = 0;

	REAL(pwritev);
	for (int i = 0; i < count; i++)
		length += pieces[i].iov_len;
	return before_write(fd, offset, length) == 0 ? real(fd, pieces, count, offset) : -1;
}

int
posix_fallocate(int fd, off_t offset, off_t length)
{
	REAL(posix_fallocate);
	return before_write(fd, offset, (size_t) length) == 0 ? real(fd, offset, length) : ENOSPC;
}

int
statvfs(const char *restrict path, struct statvfs *restrict disk)
{
	REAL(statvfs);
	if (real(path, disk) != 0)
		return -1;
	if (ordered()->disk_is_full != 0)
		disk->f_bavail = disk->f_bfree = 0;
	return 0;
}

/* ------------------------------------------------------------------------
 * The clock on the wall; the monotonic one is left alone
 * ------------------------------------------------------------------------
 */

int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	int64_t		us;

	REAL(gettimeofday);
	if (real(now, zone) != 0)
		return -1;
	us = (int64_t) now->tv_sec * 1000000 + now->tv_usec + ordered()->clock_step_us;
	now->tv_sec = us / 1000000;
	now->tv_usec = us % 1000000;
	return 0;
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	REAL(clock_gettime);
	if (real(clock, now) != 0)
		return -1;
	if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
	{
		int64_t		us = (int64_t) now->tv_sec * 1000000 + ordered()->clock_step_us;

		now->tv_sec = us / 1000000;
		now->tv_nsec = us % 1000000 * 1000 + now->tv_nsec;
		if (now->tv_nsec >= 1000000000)
		{
			now->tv_sec++;
			now->tv_nsec -= 1000000000;
		}
	}
	return 0;
}

time_t
time(time_t *to)
{
	time_t		now;

	REAL(time);
	now = real(NULL) + (time_t) (ordered()->clock_step_us / 1000000);
	if (to != NULL)
		*to = now;
	return now;
}
