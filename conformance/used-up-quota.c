/* used-up-quota.c — preloaded into a program, makes of a full disk one on which the user's quota is used up: what is refused for want of
 * room is refused with EDQUOT, and statfs(2) shows plenty, for it knows nothing of quotas. (The kernels that tests run on are often built
 * without the formats of quota files.) Calls that the C library makes by itself go past this: they fail with ENOSPC.
 * usage: LD_PRELOAD=used-up-quota.so PROGRAM
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/statfs.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PLENTY_BLOCKS = 25000000 };

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static ssize_t of_quota(ssize_t result) {
  if (result < 0 && errno == ENOSPC) errno = EDQUOT;
  return result;
}

#define STATFS(name, buffer_type)                                            \
  int name(const char *path, buffer_type *buffer) {                          \
    int result = REAL(name)(path, buffer);                                   \
    if (result == 0) buffer->f_bfree = buffer->f_bavail = PLENTY_BLOCKS;     \
    return result;                                                           \
  }
STATFS(statfs, struct statfs)
STATFS(statfs64, struct statfs64)

#define OPEN(name)                                                           \
  int name(const char *path, int flags, ...) {                               \
    va_list rest;                                                            \
    va_start(rest, flags);                                                   \
    mode_t mode = va_arg(rest, mode_t);                                      \
    va_end(rest);                                                            \
    return of_quota(REAL(name)(path, flags, mode));                          \
  }
OPEN(open)
OPEN(open64)

ssize_t write(int fd, const void *bytes, size_t count) { return of_quota(REAL(write)(fd, bytes, count)); }
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { return of_quota(REAL(pwrite)(fd, bytes, count, at)); }
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
  return of_quota(REAL(pwrite64)(fd, bytes, count, at));
}
ssize_t writev(int fd, const struct iovec *parts, int count) { return of_quota(REAL(writev)(fd, parts, count)); }
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
  return of_quota(REAL(pwritev)(fd, parts, count, at));
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
  return of_quota(REAL(pwritev64)(fd, parts, count, at));
}
int ftruncate(int fd, off_t length) { return of_quota(REAL(ftruncate)(fd, length)); }
int ftruncate64(int fd, off64_t length) { return of_quota(REAL(ftruncate64)(fd, length)); }
int fallocate(int fd, int mode, off_t at, off_t length) { return of_quota(REAL(fallocate)(fd, mode, at, length)); }
int posix_fallocate(int fd, off_t at, off_t length) {
  int error = REAL(posix_fallocate)(fd, at, length);
  return error == ENOSPC ? EDQUOT : error;
}
